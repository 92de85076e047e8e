#include "codec/pickle_reader.h"

#include <algorithm>

#include "codec/little_endian.h"

namespace flexpert::codec {
namespace {

/// Names of opcodes that are understood (see Machine::step) or refused by name; from Python's pickletools.
std::string_view name_of_opcode(unsigned char opcode) {
  switch (opcode) {
    case '0': return "POP";
    case '1': return "POP_MARK";
    case '2': return "DUP";
    case 'F': return "FLOAT";
    case 'I': return "INT";
    case 'L': return "LONG";
    case 'P': return "PERSID";
    case 'S': return "STRING";
    case 'T': return "BINSTRING";
    case 'U': return "SHORT_BINSTRING";
    case 'V': return "UNICODE";
    case 'B': return "BINBYTES";
    case 'C': return "SHORT_BINBYTES";
    case 'b': return "BUILD";
    case 'd': return "DICT";
    case 'g': return "GET";
    case 'i': return "INST";
    case 'l': return "LIST";
    case 'o': return "OBJ";
    case 'p': return "PUT";
    case 0x81: return "NEWOBJ";
    case 0x82: return "EXT1";
    case 0x83: return "EXT2";
    case 0x84: return "EXT4";
    case 0x8b: return "LONG4";
    case 0x8d: return "BINUNICODE8";
    case 0x8e: return "BINBYTES8";
    case 0x8f: return "EMPTY_SET";
    case 0x90: return "ADDITEMS";
    case 0x91: return "FROZENSET";
    case 0x92: return "NEWOBJ_EX";
    case 0x96: return "BYTEARRAY8";
    case 0x97: return "NEXT_BUFFER";
    case 0x98: return "READONLY_BUFFER";
    default: return "unknown";
  }
}

std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 100)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out;
}

class Machine {
 public:
  Machine(std::string_view bytes, std::span<const std::string_view> globals, const PickleLimits& limits)
      : bytes_(bytes), globals_(globals), limits_(limits) {}

  Result<Pickle> run() {
    if (bytes_.size() > limits_.bytes)
      return fail(ErrorCode::kResourceExhausted, "pickle: {} bytes; at most {} are read", bytes_.size(), limits_.bytes);
    if (bytes_.size() < 2 || bytes_[0] != '\x80')
      return fail(ErrorCode::kInvalidArgument, "pickle: does not begin with a protocol of 2 to 5");
    while (!stopped_) {
      if (at_ == bytes_.size()) return fail(ErrorCode::kDataLoss, "pickle: truncated: ends after {} bytes without STOP", bytes_.size());
      begin_ = at_;
      const auto opcode = static_cast<unsigned char>(bytes_[at_++]);
      FLEXPERT_TRY(step(opcode));
      if (stack_.size() > limits_.values || contained_ > limits_.values || memo_.size() > limits_.values)
        return fail(ErrorCode::kResourceExhausted, "pickle: more than {} values", limits_.values);
      if (out_.texts.size() > limits_.objects || out_.groups.size() > limits_.objects)
        return fail(ErrorCode::kResourceExhausted, "pickle: more than {} strings or containers", limits_.objects);
    }
    if (at_ != bytes_.size()) return fail(ErrorCode::kDataLoss, "pickle: {} bytes follow its end", bytes_.size() - at_);
    return std::move(out_);
  }

 private:
  Result<void> step(unsigned char opcode) {
    switch (opcode) {
      case 0x80: return protocol();
      case 0x95: return frame();
      case '.': return stop();
      case 'N': return push({});
      case 0x88: return push_int(PickleKind::kBool, 1);
      case 0x89: return push_int(PickleKind::kBool, 0);
      case 'K': return push_number<std::uint8_t>();
      case 'M': return push_number<std::uint16_t>();
      case 'J': return push_number<std::int32_t>();
      case 0x8a: return long1();
      case 'G': return binfloat();
      case 'X': return text<std::uint32_t>();
      case 0x8c: return text<std::uint8_t>();
      case ')': return push_group(PickleKind::kTuple, {});
      case ']': return push_group(PickleKind::kList, {});
      case '}': return push_group(PickleKind::kDict, {});
      case 0x85: return tuple_of(1);
      case 0x86: return tuple_of(2);
      case 0x87: return tuple_of(3);
      case '(': return mark();
      case 't': return tuple();
      case 'a': return append(stack_.empty() ? 0 : stack_.size() - 1, PickleKind::kList);
      case 's': return append(stack_.size() < 2 ? 0 : stack_.size() - 2, PickleKind::kDict);
      case 'e': return append_marked(PickleKind::kList);
      case 'u': return append_marked(PickleKind::kDict);
      case 'q': return put<std::uint8_t>();
      case 'r': return put<std::uint32_t>();
      case 0x94: return memoize(memo_.size());
      case 'h': return get<std::uint8_t>();
      case 'j': return get<std::uint32_t>();
      case 'c': return global();
      case 0x93: return stack_global();
      case 'Q': return persistent();
      case 'R': return reduce();
      default:
        return fail(ErrorCode::kPermissionDenied,
                    "pickle: the opcode {} (0x{:02x}) at byte {} is not allowed: only plain data and tensors are read",
                    name_of_opcode(opcode), opcode, begin_);
    }
  }

  std::unexpected<Error> damaged(std::string_view what) const {
    return fail(ErrorCode::kDataLoss, "pickle: damaged at byte {}: {}", begin_, what);
  }

  /// Moves over `count` bytes of the file.
  Result<std::string_view> take(std::uint64_t count) {
    if (count > bytes_.size() - at_) return damaged("an argument reaches beyond the end");
    const std::string_view taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
  }

  template <class Number>
  Result<Number> number() {
    FLEXPERT_ASSIGN(const std::string_view raw, take(sizeof(Number)));
    return static_cast<Number>(load_le<std::make_unsigned_t<Number>>(raw, 0));
  }

  Result<void> push(PickleValue value) {
    stack_.push_back(value);
    return {};
  }
  Result<void> push_int(PickleKind kind, std::int64_t integer) { return push({kind, 0, integer}); }
  template <class Number>
  Result<void> push_number() {
    FLEXPERT_ASSIGN(const Number value, number<Number>());
    return push_int(PickleKind::kInt, value);
  }
  Result<void> push_group(PickleKind kind, std::vector<PickleValue> items) {
    contained_ += items.size();
    out_.groups.push_back(std::move(items));
    return push({kind, static_cast<std::uint32_t>(out_.groups.size() - 1), 0});
  }
  Result<void> push_text(PickleKind kind, std::string text) {
    out_.texts.push_back(std::move(text));
    return push({kind, static_cast<std::uint32_t>(out_.texts.size() - 1), 0});
  }

  Result<void> protocol() {
    FLEXPERT_ASSIGN(const auto version, number<std::uint8_t>());
    if (begin_ != 0 || version < 2 || version > 5) return damaged("protocols 2 to 5 are read, said once at the start");
    return {};
  }
  Result<void> frame() {
    FLEXPERT_ASSIGN(const auto length, number<std::uint64_t>());
    if (length > bytes_.size() - at_) return damaged("a frame reaches beyond the end");
    return {};
  }
  Result<void> stop() {
    if (stack_.size() != 1 || !marks_.empty()) return damaged("STOP must leave exactly one value");
    out_.root = stack_.back();
    stopped_ = true;
    return {};
  }
  Result<void> long1() {
    FLEXPERT_ASSIGN(const auto length, number<std::uint8_t>());
    FLEXPERT_ASSIGN(const std::string_view raw, take(length));
    if (length > 8)
      return fail(ErrorCode::kInvalidArgument, "pickle: an integer of {} bytes at byte {}: at most 8 are read", length, begin_);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < length; ++i) value |= static_cast<std::uint64_t>(static_cast<unsigned char>(raw[i])) << (8 * i);
    if (length > 0 && length < 8 && (static_cast<unsigned char>(raw[length - 1]) & 0x80U) != 0) value |= ~std::uint64_t{0} << (8 * length);
    return push_int(PickleKind::kInt, static_cast<std::int64_t>(value));
  }
  Result<void> binfloat() {
    FLEXPERT_ASSIGN(const std::string_view raw, take(8));
    return push_int(PickleKind::kFloat, load_element<std::int64_t>(raw, 0, true));
  }
  template <class Length>
  Result<void> text() {
    FLEXPERT_ASSIGN(const Length length, number<Length>());
    FLEXPERT_ASSIGN(const std::string_view raw, take(length));
    return push_text(PickleKind::kString, std::string(raw));
  }

  /// Takes the values above `from` off the stack. None of a container that is still open may be taken.
  Result<std::vector<PickleValue>> pop_from(std::size_t from) {
    if (from > stack_.size() || (!marks_.empty() && from < marks_.back())) return damaged("too few values on the stack");
    std::vector<PickleValue> items(stack_.begin() + static_cast<std::ptrdiff_t>(from), stack_.end());
    stack_.resize(from);
    return items;
  }
  Result<std::size_t> pop_mark() {
    if (marks_.empty()) return damaged("no MARK");
    const std::size_t at = marks_.back();
    marks_.pop_back();
    return at;
  }
  Result<PickleValue> pop() {
    if (stack_.empty()) return damaged("too few values on the stack");
    FLEXPERT_ASSIGN(const auto items, pop_from(stack_.size() - 1));
    return items.front();
  }

  Result<void> mark() {
    if (marks_.size() == limits_.marks) return fail(ErrorCode::kResourceExhausted, "pickle: nested deeper than {} levels", limits_.marks);
    marks_.push_back(stack_.size());
    return {};
  }
  Result<void> tuple_of(std::size_t count) {
    if (stack_.size() < count) return damaged("too few values on the stack");
    FLEXPERT_ASSIGN(auto items, pop_from(stack_.size() - count));
    return push_group(PickleKind::kTuple, std::move(items));
  }
  Result<void> tuple() {
    FLEXPERT_ASSIGN(const std::size_t from, pop_mark());
    FLEXPERT_ASSIGN(auto items, pop_from(from));
    return push_group(PickleKind::kTuple, std::move(items));
  }
  Result<void> append(std::size_t from, PickleKind kind) {
    FLEXPERT_ASSIGN(const auto items, pop_from(from));
    if (stack_.empty() || stack_.back().kind != kind || (!marks_.empty() && stack_.size() <= marks_.back()))
      return damaged("nothing to append to: a list or a dict was expected");
    if (kind == PickleKind::kDict && items.size() % 2 != 0) return damaged("a key without a value");
    contained_ += items.size();
    auto& group = out_.groups[stack_.back().index];
    group.insert(group.end(), items.begin(), items.end());
    return {};
  }
  Result<void> append_marked(PickleKind kind) {
    FLEXPERT_ASSIGN(const std::size_t from, pop_mark());
    return append(from, kind);
  }

  Result<void> memoize(std::size_t index) {
    if (stack_.empty()) return damaged("too few values on the stack");
    if (index > memo_.size()) return damaged("the memo is not filled in order");
    if (index == memo_.size()) memo_.push_back(stack_.back());
    else memo_[index] = stack_.back();
    return {};
  }
  template <class Index>
  Result<void> put() {
    FLEXPERT_ASSIGN(const Index index, number<Index>());
    return memoize(index);
  }
  template <class Index>
  Result<void> get() {
    FLEXPERT_ASSIGN(const Index index, number<Index>());
    if (index >= memo_.size()) return damaged("nothing under that number in the memo");
    return push(memo_[index]);
  }

  Result<std::string_view> line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) return damaged("a name without its end");
    const std::string_view taken = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return taken;
  }
  Result<void> push_global(std::string_view module, std::string_view name) {
    std::string full = fmt::format("{}.{}", module, name);
    if (std::find(globals_.begin(), globals_.end(), full) == globals_.end())
      return fail(ErrorCode::kPermissionDenied, "pickle: the global {} at byte {} is not allowed: only plain data and tensors are read",
                  shown(full), begin_);
    return push_text(PickleKind::kGlobal, std::move(full));
  }
  Result<void> global() {
    FLEXPERT_ASSIGN(const std::string_view module, line());
    FLEXPERT_ASSIGN(const std::string_view name, line());
    return push_global(module, name);
  }
  Result<void> stack_global() {
    FLEXPERT_ASSIGN(const PickleValue name, pop());
    FLEXPERT_ASSIGN(const PickleValue module, pop());
    if (name.kind != PickleKind::kString || module.kind != PickleKind::kString) return damaged("a global's name must be two strings");
    return push_global(out_.text(module), out_.text(name));
  }
  Result<void> persistent() {
    FLEXPERT_ASSIGN(const PickleValue id, pop());
    return push_group(PickleKind::kPersistent, {id});
  }
  Result<void> reduce() {
    FLEXPERT_ASSIGN(const PickleValue arguments, pop());
    FLEXPERT_ASSIGN(const PickleValue callable, pop());
    if (callable.kind != PickleKind::kGlobal || arguments.kind != PickleKind::kTuple) return damaged("REDUCE needs a global and a tuple");
    if (out_.text(callable) == "collections.OrderedDict" && out_.items(arguments).empty()) return push_group(PickleKind::kDict, {});
    return push_group(PickleKind::kCall, {callable, arguments});
  }

  std::string_view bytes_;
  std::span<const std::string_view> globals_;
  const PickleLimits& limits_;
  std::size_t at_ = 0;
  std::size_t begin_ = 0;  ///< of the opcode in hand
  bool stopped_ = false;
  std::size_t contained_ = 0;
  std::vector<PickleValue> stack_;
  std::vector<std::size_t> marks_;
  std::vector<PickleValue> memo_;
  Pickle out_;
};

}  // namespace

const char* name_of(PickleKind kind) {
  switch (kind) {
    case PickleKind::kNone: return "None";
    case PickleKind::kBool: return "a bool";
    case PickleKind::kInt: return "an int";
    case PickleKind::kFloat: return "a float";
    case PickleKind::kString: return "a string";
    case PickleKind::kTuple: return "a tuple";
    case PickleKind::kList: return "a list";
    case PickleKind::kDict: return "a dict";
    case PickleKind::kGlobal: return "a name";
    case PickleKind::kCall: return "an object";
    case PickleKind::kPersistent: return "a storage";
  }
  return "unknown";
}

std::optional<PickleValue> Pickle::field(PickleValue dict, std::string_view key) const {
  if (dict.kind != PickleKind::kDict) return std::nullopt;
  const auto pairs = items(dict);
  for (std::size_t i = pairs.size(); i >= 2; i -= 2)
    if (pairs[i - 2].kind == PickleKind::kString && text(pairs[i - 2]) == key) return pairs[i - 1];
  return std::nullopt;
}

Result<Pickle> read_pickle(std::string_view bytes, std::span<const std::string_view> globals, const PickleLimits& limits) {
  return Machine(bytes, globals, limits).run();
}

}  // namespace flexpert::codec
