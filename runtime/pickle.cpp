// Opcodes after Python's pickletools. torch.save writes protocol 2 unless it is asked for another; those of protocol 4 are read too.
#include "runtime/pickle.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

#include "runtime/error.h"
#include "ir/utf8.h"

namespace bnc {

namespace {

using PickleKind = PickleValue::Kind;

constexpr size_t most_pickle_bytes = 16 << 20;    // a hundred thousand tensors take less
constexpr size_t most_objects = 1'000'000, deepest_stack = 100'000;

// The element types of the classes of storages, as safetensors calls them.
const std::map<std::string_view, const char*> storage_types = {
    {"torch FloatStorage", "F32"},   {"torch DoubleStorage", "F64"},       {"torch HalfStorage", "F16"},
    {"torch BFloat16Storage", "BF16"}, {"torch LongStorage", "I64"},       {"torch IntStorage", "I32"},
    {"torch ShortStorage", "I16"},   {"torch CharStorage", "I8"},          {"torch ByteStorage", "U8"},
    {"torch BoolStorage", "BOOL"},   {"torch ComplexFloatStorage", "C64"}, {"torch ComplexDoubleStorage", "C128"}};

constexpr std::string_view ordered_dict = "collections OrderedDict", rebuild_tensor = "torch._utils _rebuild_tensor_v2",
                           rebuild_parameter = "torch._utils _rebuild_parameter";

class PickleMachine {
 public:
  PickleMachine(Bytes bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  Pickle run() {
    if (bytes_.size() > most_pickle_bytes)
      fail("{}: its data.pkl takes {} bytes, more than a state dict has\nhelp: save the state dict alone: "
           "`torch.save(model.state_dict(), \"W.pt\")`", path_, bytes_.size());
    while (step()) {
      if (stack_.size() > deepest_stack || pickle_.sequences.size() + pickle_.dicts.size() > most_objects || memo_.size() > most_objects)
        fail("{}: its data.pkl is no state dict: it holds too many objects", path_);
    }
    return std::move(pickle_);
  }

 private:
  Bytes bytes_;
  const std::string& path_;
  size_t at_ = 0, opcode_at_ = 0;
  std::vector<PickleValue> stack_;
  std::unordered_map<uint32_t, PickleValue> memo_;
  Pickle pickle_;

  [[noreturn]] void damaged() const { fail("{}: its data.pkl is damaged at byte {}", path_, opcode_at_); }
  [[noreturn]] void refuse(std::string_view global) const {
    std::string name(global);
    std::replace(name.begin(), name.end(), ' ', '.');
    fail("{}: it holds an object of `{}`, which is not part of a state dict; nothing of the file is executed, so bnc cannot read it\n"
         "help: save the state dict alone: `torch.save(model.state_dict(), \"W.pt\")`", path_, name);
  }

  // Bytes.
  Bytes take(uint64_t count) {
    if (count > bytes_.size() - at_) fail("{}: its data.pkl is truncated", path_);
    const Bytes part = bytes_.subspan(at_, count);
    at_ += count;
    return part;
  }
  uint64_t number(int width) {
    const Bytes field = take(static_cast<uint64_t>(width));
    uint64_t value = 0;
    for (int k = width - 1; k >= 0; --k) value = value << 8 | field[static_cast<size_t>(k)];
    return value;
  }
  std::string_view text(uint64_t length) {
    const Bytes part = take(length);
    const std::string_view text(reinterpret_cast<const char*>(part.data()), part.size());
    if (first_not_utf8(text)) damaged();
    return text;
  }
  std::string_view line() {
    const auto rest = bytes_.subspan(at_);
    const auto end = std::find(rest.begin(), rest.end(), '\n');
    const std::string_view part = text(static_cast<uint64_t>(end - rest.begin()));
    take(1);
    return part;
  }
  int64_t long_integer(uint64_t length) {
    const Bytes part = take(length);
    if (length > 8) return 0;   // of a generator's state, say; no size or offset is as large
    uint64_t value = length > 0 && part[length - 1] & 0x80 ? ~uint64_t{0} : 0;
    for (uint64_t k = length; k-- > 0;) value = value << 8 | part[k];
    return static_cast<int64_t>(value);
  }

  // The stack.
  void push(PickleValue value) { stack_.push_back(value); }
  void push_integer(int64_t value, PickleKind kind = PickleKind::integer) {
    push({.kind = kind, .object = 0, .integer = value, .text = {}});
  }
  void push_text(std::string_view value, PickleKind kind = PickleKind::text) {
    push({.kind = kind, .object = 0, .integer = 0, .text = value});
  }
  void push_sequence(PickleKind kind, Pickle::Items items) {
    pickle_.sequences.push_back(std::move(items));
    push({.kind = kind, .object = static_cast<uint32_t>(pickle_.sequences.size() - 1), .integer = 0, .text = {}});
  }
  void push_dict() {
    pickle_.dicts.emplace_back();
    push({.kind = PickleKind::dict, .object = static_cast<uint32_t>(pickle_.dicts.size() - 1), .integer = 0, .text = {}});
  }
  PickleValue& top() {
    if (stack_.empty() || stack_.back().is(PickleKind::mark)) damaged();
    return stack_.back();
  }
  PickleValue& top(PickleKind kind) {
    if (!top().is(kind)) damaged();
    return top();
  }
  PickleValue pop() {
    const PickleValue value = top();
    stack_.pop_back();
    return value;
  }
  PickleValue pop(PickleKind kind) {
    top(kind);
    return pop();
  }
  Pickle::Items pop_last(size_t count) {
    if (count > stack_.size()) damaged();
    Pickle::Items items(stack_.end() - static_cast<ptrdiff_t>(count), stack_.end());
    for (const PickleValue& item : items)
      if (item.is(PickleKind::mark)) damaged();
    stack_.resize(stack_.size() - count);
    return items;
  }
  Pickle::Items pop_to_mark() {
    const auto mark = std::find_if(stack_.rbegin(), stack_.rend(), [](const PickleValue& value) { return value.is(PickleKind::mark); });
    if (mark == stack_.rend()) damaged();
    Pickle::Items items = pop_last(static_cast<size_t>(mark - stack_.rbegin()));
    stack_.pop_back();
    return items;
  }

  // Values of the right kind.
  const Pickle::Items& items_of(const PickleValue& value) const {
    if (!value.is(PickleKind::tuple) && !value.is(PickleKind::list)) damaged();
    return pickle_.sequences[value.object];
  }
  int64_t integer_of(const PickleValue& value) const {
    if (!value.is(PickleKind::integer)) damaged();
    return value.integer;
  }
  std::vector<int64_t> integers_of(const PickleValue& value) const {
    std::vector<int64_t> integers;
    for (const PickleValue& item : items_of(value)) integers.push_back(integer_of(item));
    return integers;
  }

  void remember(uint64_t number) { memo_[static_cast<uint32_t>(number)] = top(); }
  void recall(uint64_t number) {
    const auto found = memo_.find(static_cast<uint32_t>(number));
    if (found == memo_.end()) damaged();
    push(found->second);
  }

  void add_entries(const Pickle::Items& items) {
    if (items.size() % 2 != 0) damaged();
    Pickle::Entries& entries = pickle_.dicts[top(PickleKind::dict).object];
    for (size_t k = 0; k < items.size(); k += 2) entries.emplace_back(items[k], items[k + 1]);
  }
  void add_items(const Pickle::Items& items) {
    Pickle::Items& list = pickle_.sequences[top(PickleKind::list).object];
    list.insert(list.end(), items.begin(), items.end());
  }

  void push_global(std::string_view name) {
    if (name != ordered_dict && name != rebuild_tensor && name != rebuild_parameter && !storage_types.contains(name)) refuse(name);
    push_text(name, PickleKind::global);
  }
  // The name in the table, which outlives what it was put together from.
  void push_global(std::string_view module, std::string_view name) {
    const std::string whole = std::string(module) + " " + std::string(name);
    for (const std::string_view known : {ordered_dict, rebuild_tensor, rebuild_parameter})
      if (whole == known) return push_global(known);
    const auto found = storage_types.find(whole);
    if (found == storage_types.end()) refuse(whole);
    push_global(found->first);
  }

  void reduce() {
    const Pickle::Items arguments = items_of(pop(PickleKind::tuple));
    const std::string_view name = pop(PickleKind::global).text;
    if (name == ordered_dict && arguments.empty()) return push_dict();
    if (name == rebuild_parameter && !arguments.empty() && arguments[0].is(PickleKind::tensor)) return push(arguments[0]);
    if (name != rebuild_tensor || arguments.size() < 4 || !arguments[0].is(PickleKind::storage)) damaged();
    pickle_.tensors.push_back({arguments[0].object, integer_of(arguments[1]), integers_of(arguments[2]), integers_of(arguments[3])});
    push({.kind = PickleKind::tensor, .object = static_cast<uint32_t>(pickle_.tensors.size() - 1), .integer = 0, .text = {}});
  }

  // ('storage', class, key, device, number of elements)
  void push_storage() {
    const Pickle::Items id = items_of(pop(PickleKind::tuple));
    if (id.size() < 5 || id[0].text != "storage" || !id[1].is(PickleKind::global) || !id[2].is(PickleKind::text)) damaged();
    const auto type = storage_types.find(id[1].text);
    if (type == storage_types.end()) damaged();
    pickle_.storages.push_back({id[2].text, type->second, integer_of(id[4])});
    push({.kind = PickleKind::storage, .object = static_cast<uint32_t>(pickle_.storages.size() - 1), .integer = 0, .text = {}});
  }

  bool step();
  bool step_on_numbers(uint8_t opcode);
  bool step_on_containers(uint8_t opcode);
};

// False behind the last opcode.
bool PickleMachine::step() {
  opcode_at_ = at_;
  const uint8_t opcode = static_cast<uint8_t>(number(1));
  switch (opcode) {
    case 0x80: if (number(1) > 5) damaged(); return true;                  // PROTO
    case 0x95: take(8); return true;                                       // FRAME
    case '(': push({.kind = PickleKind::mark, .object = 0, .integer = 0, .text = {}}); return true;
    case 'q': remember(number(1)); return true;                            // BINPUT
    case 'r': remember(number(4)); return true;                            // LONG_BINPUT
    case 0x94: remember(memo_.size()); return true;                        // MEMOIZE
    case 'h': recall(number(1)); return true;                              // BINGET
    case 'j': recall(number(4)); return true;                              // LONG_BINGET
    case 'c': {                                                            // GLOBAL
      const std::string_view module = line();
      push_global(module, line());
      return true;
    }
    case 0x93: {                                                           // STACK_GLOBAL
      const std::string_view name = pop(PickleKind::text).text;
      push_global(pop(PickleKind::text).text, name);
      return true;
    }
    case 'R': reduce(); return true;
    case 'b': pop(); top(PickleKind::dict); return true;                         // BUILD: the attributes of an OrderedDict
    case 'Q': push_storage(); return true;                                 // BINPERSID
    case '.':                                                              // STOP
      pickle_.root = pop();
      if (!stack_.empty() || at_ != bytes_.size()) damaged();
      return false;
    default: break;
  }
  if (step_on_numbers(opcode) || step_on_containers(opcode)) return true;
  fail("{}: its data.pkl holds opcode 0x{:02x} at byte {}, which is not part of a state dict\nhelp: save the state dict alone: "
       "`torch.save(model.state_dict(), \"W.pt\")`", path_, opcode, opcode_at_);
}

bool PickleMachine::step_on_numbers(uint8_t opcode) {
  switch (opcode) {
    case 'N': push({}); return true;
    case 0x88: push_integer(1, PickleKind::boolean); return true;
    case 0x89: push_integer(0, PickleKind::boolean); return true;
    case 'K': push_integer(static_cast<int64_t>(number(1))); return true;
    case 'M': push_integer(static_cast<int64_t>(number(2))); return true;
    case 'J': push_integer(static_cast<int32_t>(number(4))); return true;
    case 0x8a: push_integer(long_integer(number(1))); return true;          // LONG1
    case 'G': take(8); push_integer(0, PickleKind::number); return true;          // BINFLOAT: no number of a state dict but in its tensors
    case 'X': push_text(text(number(4))); return true;
    case 0x8c: push_text(text(number(1))); return true;
    case 0x8d: push_text(text(number(8))); return true;
    case 'B': take(number(4)); push({}); return true;                       // bytes, of which a state dict has none
    case 'C': take(number(1)); push({}); return true;
    default: return false;
  }
}

bool PickleMachine::step_on_containers(uint8_t opcode) {
  switch (opcode) {
    case '}': push_dict(); return true;
    case ']': push_sequence(PickleKind::list, {}); return true;
    case ')': push_sequence(PickleKind::tuple, {}); return true;
    case 't': push_sequence(PickleKind::tuple, pop_to_mark()); return true;
    case 0x85: case 0x86: case 0x87: push_sequence(PickleKind::tuple, pop_last(opcode - 0x84u)); return true;
    case 'a': add_items(pop_last(1)); return true;
    case 'e': add_items(pop_to_mark()); return true;
    case 's': add_entries(pop_last(2)); return true;
    case 'u': add_entries(pop_to_mark()); return true;
    default: return false;
  }
}

}  // namespace

Pickle parse_pickle(Bytes bytes, const std::string& path) { return PickleMachine(bytes, path).run(); }

}  // namespace bnc
