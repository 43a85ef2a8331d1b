#pragma once
/// The manifest's keys as data: what the reader accepts, what the schema publishes and what the help prints.

#include <span>
#include <string_view>
#include <vector>

namespace plumbline::data {

enum class KeyType {
  kText,  ///< a string
  kPath,  ///< a path below the manifest's folder, or ROOT:path
  kFlag,  ///< true or false
  kInteger,
  kNumber,
  kTexts,        ///< a list of strings
  kNumbers,      ///< a list of numbers
  kPair,         ///< [low, high]
  kTextTable,    ///< {key = "text", ...}
  kNumberTable,  ///< {key = 0.5, ...}
  kTable,        ///< a sub-table with keys of its own
  kAny,          ///< a scalar or a list
};

struct KeySpec {
  std::string_view name;
  KeyType type = KeyType::kText;
  bool required = false;
  std::string_view help;
  std::vector<std::string_view> choices{};
  std::vector<KeySpec> keys{};  ///< of a kTable
};

enum class SectionForm {
  kSingle,  ///< [system]
  kNamed,   ///< [data.NAME]
  kList,    ///< [[claim]]
  kOpen,    ///< [check."ID"], any keys: the check declares them
};

struct SectionSpec {
  std::string_view kind;
  SectionForm form = SectionForm::kNamed;
  std::string_view help;
  std::vector<KeySpec> keys;
  bool generic = false;  ///< kept as an OtherSection
};

std::span<const SectionSpec> section_specs();
const SectionSpec* find_section(std::string_view kind);
const KeySpec* find_key(std::span<const KeySpec> keys, std::string_view name);

}  // namespace plumbline::data
