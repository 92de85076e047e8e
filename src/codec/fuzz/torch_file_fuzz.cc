// Any bytes as a .pt file, and as the pickle in one: an error, or tensors with as many finite-sized values as their shape
// says. Checksums keep a fuzzer out of the pickle of a whole file, so the second way puts the bytes into a valid one.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "codec/torch_file.h"

namespace {

using namespace flexpert::codec;

void read_all(std::string_view bytes) {
  auto file = TorchFile::open(bytes);
  if (!file) return;
  std::size_t budget = std::size_t{1} << 20;
  for (std::uint32_t i = 0; i < file->pickle().groups.size(); ++i) {
    const auto& group = file->pickle().groups[i];
    if (group.size() != 2 || group[0].kind != PickleKind::kGlobal || group[1].kind != PickleKind::kTuple) continue;
    const auto array = file->numbers({PickleKind::kCall, i, 0}, "fuzz");
    if (!array) continue;
    const auto elements = element_count(array->shape, "fuzz");
    if (!elements || *elements != array->values.size()) std::abort();
    if (array->values.size() > budget) return;
    budget -= array->values.size();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read_all(bytes);
  ZipWriter zip;
  std::string storage;
  for (int i = 0; i < 256; ++i) storage += static_cast<char>(i * 7);
  if (!zip.add("x/data.pkl", bytes) || !zip.add("x/byteorder", size % 2 == 0 ? "little" : "big") || !zip.add("x/data/0", storage)) std::abort();
  read_all(zip.finish());
  return 0;
}
