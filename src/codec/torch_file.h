#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "codec/number_array.h"
#include "codec/pickle_reader.h"
#include "codec/zip_archive.h"

/// What torch.save writes since PyTorch 1.6: a zip file with a pickle `data.pkl` and one file a storage, `data/N`.
namespace flexpert::codec {

enum class TorchDtype { kBool, kUint8, kInt8, kInt16, kUint16, kInt32, kUint32, kInt64, kUint64, kFloat16, kBfloat16, kFloat32, kFloat64 };

/// Returns PyTorch's name: "int64", "bfloat16".
const char* name_of(TorchDtype dtype);

/// Reads a .pt file of plain data and tensors (on any device); executes nothing. Copies the values of the tensors that
/// are asked for. One thread.
class TorchFile {
 public:
  /// `bytes` must outlive the file. Errors: no zip (the older formats are named), names that are no part of plain
  /// tensors, damaged or oversized parts.
  static Result<TorchFile> open(std::string_view bytes);

  [[nodiscard]] const Pickle& pickle() const { return pickle_; }
  [[nodiscard]] PickleValue root() const { return pickle_.root; }

  /// Returns a tensor's values, row-major, whatever its strides. `what` begins every message. Errors: no tensor, a view
  /// outside its storage, a whole number beyond 2^53, more than 64 Mi elements, storages of 4 GiB in all.
  Result<NumberArray> numbers(PickleValue tensor, std::string_view what);

 private:
  TorchFile(ZipArchive archive, Pickle pickle, std::string prefix, bool big_endian)
      : archive_(std::move(archive)), pickle_(std::move(pickle)), prefix_(std::move(prefix)), big_endian_(big_endian) {}

  Result<std::string_view> storage(std::string_view key);

  ZipArchive archive_;
  Pickle pickle_;
  std::string prefix_;  ///< "archive/"
  bool big_endian_;
  std::string last_key_;  ///< of the storage in hand: tensors often share one
  std::string last_storage_;
  std::uint64_t unpacked_ = 0;
};

/// A tensor to be written. Whole-number types refuse fractions and what does not fit them.
struct TorchTensor {
  TorchDtype dtype = TorchDtype::kInt64;
  NumberArray array;
};

struct TorchField;

/// Plain data to be written. A dict's keys must differ.
struct TorchValue {
  using List = std::vector<TorchValue>;
  using Dict = std::vector<TorchField>;
  std::variant<std::monostate, bool, std::int64_t, double, std::string, TorchTensor, List, Dict> value;
};

struct TorchField {
  std::string key;
  TorchValue value;
};

/// Writes a file that torch.load (also with weights_only) reads. Errors: values that a tensor's type cannot hold (float16
/// and bfloat16 are not written), a shape that does not fit its values, 4 GiB.
Result<std::string> write_torch_file(const TorchValue& root);

}  // namespace flexpert::codec
