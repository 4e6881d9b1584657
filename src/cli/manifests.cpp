#include "cli/manifests.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/secret_input.h"

namespace sessmtp::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// An alias stands for all that its anchor holds, so a few lines of YAML can be endless. What is written out
// has fewer nodes than bytes; aliases may add so many.
constexpr std::size_t kMaxAliasedNodes = 100'000;
constexpr std::size_t kMaxText = std::size_t{64} << 20;

// yaml-cpp takes any bytes.
bool is_utf8(const std::string& text) {
  try {
    (void)json(text).dump();
    return true;
  } catch (const json::type_error&) {
    return false;
  }
}

// One YAML document as JSON. Goes on after a mistake, as the object may be one that nobody asks for.
class YamlToJson {
 public:
  explicit YamlToJson(std::string_view text) : max_nodes_(text.size() + kMaxAliasedNodes) {}

  [[nodiscard]] json convert(const YAML::Node& node, const std::string& path = {}, std::size_t depth = 0) {
    if (++nodes_ > max_nodes_ || text_ > kMaxText || depth > kMaxJsonDepth) {
      too_large_ = true;
      return nullptr;
    }
    if (node.IsScalar()) {
      return scalar(node, path);
    }
    json result;
    if (node.IsSequence()) {
      result = json::array();
      for (const YAML::Node& item : node) {
        result.push_back(convert(item, path + '[' + std::to_string(result.size()) + ']', depth + 1));
        if (too_large_) {
          break;
        }
      }
    } else if (node.IsMap()) {
      result = json::object();
      for (const auto& field : node) {
        add_field(field.first, field.second, path, depth, result);
        if (too_large_) {
          break;
        }
      }
    }
    return result;
  }

  // The first mistake, with its path; empty: none.
  [[nodiscard]] const std::string& mistake() const { return mistake_; }
  [[nodiscard]] bool too_large() const { return too_large_; }

 private:
  void add_field(const YAML::Node& name, const YAML::Node& value, const std::string& path, std::size_t depth,
                 json& into) {
    if (!name.IsScalar()) {
      return complain(path, "has a field whose name is no text");
    }
    const std::string& key = name.Scalar();
    if (!is_utf8(key)) {
      return complain(path, "has a field whose name is not UTF-8");
    }
    const std::string inner = path.empty() ? key : path + '.' + key;
    text_ += key.size();
    if (key == "<<" && name.Tag() == "?") {
      return complain(inner, "is a merge key, which is not understood here: write the fields out");
    }
    if (into.contains(key)) {
      return complain(inner, "is there twice");
    }
    into[key] = convert(value, inner, depth + 1);
  }

  json scalar(const YAML::Node& node, const std::string& path) {
    text_ += node.Scalar().size();
    if (!is_utf8(node.Scalar())) {
      complain(path, "is not UTF-8");
      return nullptr;
    }
    const std::string& tag = node.Tag();
    if (tag == "!" || tag == "tag:yaml.org,2002:str") {  // in quotes or a block; said to be a text
      return node.Scalar();
    }
    if (!tag.empty() && tag != "?") {
      complain(path, "has a YAML tag that is not understood here");
    }
    bool truth = false;
    std::int64_t whole = 0;
    double number = 0;
    if (YAML::convert<bool>::decode(node, truth)) {
      return truth;
    }
    if (YAML::convert<std::int64_t>::decode(node, whole)) {
      return whole;
    }
    if (YAML::convert<double>::decode(node, number)) {
      if (!std::isfinite(number)) {
        complain(path, "is a number that JSON does not have");
      }
      return number;
    }
    return node.Scalar();
  }

  void complain(const std::string& path, const std::string& what) {
    if (mistake_.empty()) {
      mistake_ = (path.empty() ? std::string("the document") : path) + ' ' + what;
    }
  }

  const std::size_t max_nodes_;
  std::size_t nodes_ = 0;
  std::size_t text_ = 0;
  bool too_large_ = false;
  std::string mistake_;
};

bool is_list(const json& object) {
  return text_of(object, "kind").ends_with("List") && member_of(object, "items").is_array();
}

void take(json object, const std::string& where, const std::string& mistake, const WantedKind& wanted,
          Manifests& into) {
  const std::string kind = text_of(object, "kind");
  const std::string api_version = text_of(object, "apiVersion");
  if (!object.is_object() || kind.empty() || api_version.empty()) {
    into.problems.push_back(where + ": no Kubernetes object, it has no apiVersion and kind" +
                            (mistake.empty() ? "" : " that can be read: " + mistake));
    return;
  }
  if (is_list(object)) {
    if (!mistake.empty()) {
      into.problems.push_back(where + ": " + mistake);
      return;
    }
    std::size_t number = 0;
    for (json& item : object["items"]) {
      if (kind != "List" && item.is_object()) {  // the API server leaves them out in a list of one kind
        item.emplace("kind", kind.substr(0, kind.size() - std::string_view("List").size()));
        item.emplace("apiVersion", api_version);
      }
      take(std::move(item), where + ", item " + std::to_string(++number), {}, wanted, into);
    }
    return;
  }
  if (!wanted(api_version, kind)) {
    return;
  }
  if (!mistake.empty()) {
    into.problems.push_back(where + ": " + kind + ": " + mistake);
    return;
  }
  into.found.push_back({where, std::move(object)});
}

void parse_yaml(std::string_view text, const std::string& file, const WantedKind& wanted, Manifests& into) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    std::size_t number = 0;
    for (const YAML::Node& document : documents) {
      ++number;
      if (document.IsNull()) {
        continue;  // nothing but comments
      }
      const std::string where = file + ", document " + std::to_string(number);
      YamlToJson converter(text);
      json object = converter.convert(document);
      if (converter.too_large()) {
        into.problems.push_back(where + ": too large or too deeply nested");
      } else {
        take(std::move(object), where, converter.mistake(), wanted, into);
      }
    }
  } catch (const YAML::Exception& error) {  // its text may quote the file
    const bool placed = !error.mark.is_null();
    into.problems.push_back(file + ": not valid YAML" +
                            (placed ? ", line " + std::to_string(error.mark.line + 1) : std::string()));
  }
}

bool is_manifest(const fs::path& path) {
  const fs::path extension = path.extension();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

void add_files(const fs::path& folder, bool recursive, std::vector<fs::path>& files,
               std::vector<std::string>& problems) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator at(folder, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    entries.push_back(at->path());
  }
  if (error) {
    problems.push_back(folder.string() + ": " + error.message());
  }
  std::ranges::sort(entries);
  for (const fs::path& entry : entries) {
    if (fs::is_directory(entry, error)) {
      // Links to folders are not followed: they may lead in a circle.
      if (recursive && !fs::is_symlink(entry, error)) {
        add_files(entry, recursive, files, problems);
      }
    } else if (is_manifest(entry)) {
      files.push_back(entry);
    }
  }
}

void read_standard_input(int in, const WantedKind& wanted, Manifests& into) {
  const Result<SecretBytes> text = read_all(in, kMaxManifestFile);
  if (text) {
    return parse_manifests(text->expose(), "standard input", wanted, into);
  }
  into.problems.push_back(text.error().message);
}

}  // namespace

void parse_manifests(std::string_view text, const std::string& file, const WantedKind& wanted,
                     Manifests& into) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') {
    // What is no JSON may still be YAML that begins with a brace.
    if (auto object = parse_json(text)) {
      return take(std::move(*object), file, {}, wanted, into);
    }
  }
  parse_yaml(text, file, wanted, into);
}

Manifests read_manifests(const std::vector<std::string>& paths, bool recursive, int in,
                         const WantedKind& wanted) {
  Manifests result;
  for (const std::string& path : paths) {
    if (path == "-") {
      read_standard_input(in, wanted, result);
      continue;
    }
    std::vector<fs::path> files;
    std::error_code error;
    if (fs::is_directory(path, error)) {
      add_files(path, recursive, files, result.problems);
    } else {
      files.emplace_back(path);
    }
    for (const fs::path& file : files) {
      Result<std::string> text = read_file(file, kMaxManifestFile);
      if (!text) {
        result.problems.push_back(text.error().message);
        continue;
      }
      parse_manifests(*text, file.string(), wanted, result);
      wipe(text->data(), text->size());
    }
  }
  return result;
}

}  // namespace sessmtp::cli
