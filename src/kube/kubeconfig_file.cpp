#include "kube/kubeconfig_file.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "base/base64.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

namespace sessmtp::kube {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidInput, std::move(message));
}

nlohmann::json scalar_to_json(const YAML::Node& scalar) {
  bool truth = false;
  std::int64_t whole = 0;
  double number = 0;
  if (scalar.Tag() == "!") {  // it was in quotes
    return scalar.Scalar();
  }
  if (YAML::convert<bool>::decode(scalar, truth)) {
    return truth;
  }
  if (YAML::convert<std::int64_t>::decode(scalar, whole)) {
    return whole;
  }
  if (YAML::convert<double>::decode(scalar, number)) {
    return number;
  }
  return scalar.Scalar();
}

// An alias stands for all that its anchor holds, and may stand inside of it: a few lines of YAML can be
// endless. What becomes JSON here goes into a variable of the environment, which takes 128 KiB on Linux.
constexpr std::size_t kMaxJson = std::size_t{128} << 10;

// False when it is too large; `left` is how much larger it may grow.
bool to_json(const YAML::Node& node, std::size_t depth, std::size_t& left, nlohmann::json& into) {
  const std::size_t cost = 1 + (node.IsScalar() ? node.Scalar().size() : 0);
  if (cost > left || depth > kMaxJsonDepth) {
    return false;
  }
  left -= cost;
  if (node.IsScalar()) {
    into = scalar_to_json(node);
  } else if (node.IsSequence()) {
    into = nlohmann::json::array();
    for (const YAML::Node& item : node) {
      if (!to_json(item, depth + 1, left, into.emplace_back())) {
        return false;
      }
    }
  } else if (node.IsMap()) {
    into = nlohmann::json::object();
    for (const auto& field : node) {
      if (!to_json(field.second, depth + 1, left, into[field.first.Scalar()])) {
        return false;
      }
    }
  }
  return true;
}

// `kind` is "cluster", "user" or "context": the list's name without its s, and the field of an item.
Result<void> merge_list(const YAML::Node& document, const fs::path& file, const std::string& kind,
                        KubeconfigEntries& into) {
  const YAML::Node list = document[kind + "s"];
  if (!list || list.IsNull()) {
    return {};
  }
  const std::string where = file.string() + ", line " + std::to_string(list.Mark().line + 1) + ": ";
  if (!list.IsSequence()) {
    return invalid(where + kind + "s must be a list");
  }
  std::set<std::string> own;
  for (const YAML::Node& item : list) {
    const YAML::Node name = item.IsMap() ? item["name"] : YAML::Node();
    if (!name || !name.IsScalar() || name.Scalar().empty()) {
      return invalid(where + "an item of " + kind + "s has no name");
    }
    if (!own.insert(name.Scalar()).second) {
      return invalid(where + "there are two " + kind + "s named " + in_quotes(name.Scalar()));
    }
    into.try_emplace(name.Scalar(), item[kind], file, kind + ' ' + in_quotes(name.Scalar()));
  }
  return {};
}

Result<void> merge_document(const YAML::Node& document, const fs::path& file, MergedKubeconfig& into) {
  if (document.IsNull()) {
    return {};  // an empty file is a kubeconfig too
  }
  if (!document.IsMap()) {
    return invalid(file.string() + ": not a kubeconfig");
  }
  if (const YAML::Node kind = document["kind"]; kind && kind.IsScalar() && kind.Scalar() != "Config") {
    return invalid(file.string() + ": not a kubeconfig but of kind " + in_quotes(kind.Scalar()));
  }
  if (const YAML::Node current = document["current-context"];
      into.current_context.empty() && current && current.IsScalar()) {
    into.current_context = current.Scalar();
  }
  for (const auto& [kind, entries] : {std::pair("cluster", &into.clusters), std::pair("user", &into.users),
                                      std::pair("context", &into.contexts)}) {
    if (Result<void> merged = merge_list(document, file, kind, *entries); !merged) {
      return merged;
    }
  }
  return {};
}

// yaml-cpp throws on anything it does not like, and limits its own depth.
Result<void> merge_file(const fs::path& file, MergedKubeconfig& into) {
  Result<std::string> text = read_file(file);
  if (!text) {
    return std::unexpected(std::move(text.error()));
  }
  Result<void> merged;
  try {
    merged = merge_document(YAML::Load(*text), file, into);
  } catch (const YAML::Exception& e) {
    const std::string line = e.mark.is_null() ? "" : ", line " + std::to_string(e.mark.line + 1);
    merged = invalid(file.string() + line + ": not YAML: " + e.msg.substr(0, e.msg.find(':')));
  } catch (const std::exception&) {
    merged = invalid(file.string() + ": cannot be read as YAML");
  }
  wipe(text->data(), text->size());
  return merged;
}

std::vector<fs::path> candidates(const std::string& paths) {
  std::vector<fs::path> files;
  if (paths.empty()) {
    const char* home = std::getenv("HOME");
    return {fs::path(home != nullptr ? home : "/") / ".kube" / "config"};
  }
  for (std::size_t begin = 0; begin <= paths.size();) {
    const std::size_t end = std::min(paths.find(':', begin), paths.size());
    if (end > begin) {
      files.emplace_back(paths.substr(begin, end - begin));
    }
    begin = end + 1;
  }
  return files;
}

}  // namespace

Error KubeconfigEntry::wrong(const std::string& what) const {
  return {ErrorCode::kInvalidInput, label_ + " in " + file_.string() + ": " + what};
}

bool KubeconfigEntry::has(const char* name) const {
  const YAML::Node value = at(name);
  return value && !value.IsNull();
}

std::string KubeconfigEntry::text(const char* name) {
  const YAML::Node value = at(name);
  if (!value || value.IsNull()) {
    return {};
  }
  if (!value.IsScalar()) {
    complain(std::string(name) + " must be a text");
    return {};
  }
  return value.Scalar();
}

std::string KubeconfigEntry::line(const char* name) {
  std::string value = text(name);
  if (has_control_characters(value)) {
    complain(std::string(name) + " must be one line without control characters");
    return {};
  }
  return value;
}

bool KubeconfigEntry::flag(const char* name) {
  bool value = false;
  if (has(name) && !YAML::convert<bool>::decode(at(name), value)) {
    complain(std::string(name) + " must be true or false");
  }
  return value;
}

std::vector<std::string> KubeconfigEntry::texts(const char* name) {
  std::vector<std::string> values;
  const YAML::Node list = at(name);
  if (has(name) && !list.IsSequence()) {
    complain(std::string(name) + " must be a list");
    return values;
  }
  for (const YAML::Node& item : list) {
    if (!item.IsScalar()) {
      complain("the items of " + std::string(name) + " must be texts");
      return values;
    }
    values.push_back(item.Scalar());
  }
  return values;
}

std::vector<std::pair<std::string, std::string>> KubeconfigEntry::map_of_texts(const char* name) {
  std::vector<std::pair<std::string, std::string>> values;
  const YAML::Node map = at(name);
  if (has(name) && !map.IsMap()) {
    complain(std::string(name) + " must be a map");
    return values;
  }
  for (const auto& field : map) {
    const std::string& its_key = field.first.Scalar();
    KubeconfigEntry entry(map, file_, label_);
    for (std::string& value : entry.texts(its_key.c_str())) {
      values.emplace_back(its_key, std::move(value));
    }
    if (entry.error()) {
      complain(std::string(name) + " must be a map of lists of texts");
    }
  }
  return values;
}

fs::path KubeconfigEntry::path(const char* name) {
  const std::string value = text(name);
  return value.empty() ? fs::path() : (file_.parent_path() / value).lexically_normal();
}

Pem KubeconfigEntry::pem(const char* file_field, const char* data_field) {
  std::string encoded = text(data_field);
  if (encoded.empty()) {
    return {.data = {}, .file = path(file_field)};
  }
  std::erase_if(encoded, [](char c) { return c == '\n' || c == '\r'; });
  const std::optional<SecretBytes> decoded = base64_decode(encoded);
  wipe(encoded.data(), encoded.size());
  if (!decoded) {
    complain(std::string(data_field) + " is not base64");
    return {};
  }
  return {.data = std::string(decoded->expose()), .file = {}};
}

KubeconfigEntry KubeconfigEntry::inside(const char* name) const {
  return {at(name), file_, label_ + ", " + name};
}

std::vector<KubeconfigEntry> KubeconfigEntry::items(const char* name) {
  std::vector<KubeconfigEntry> entries;
  const YAML::Node list = at(name);
  if (has(name) && !list.IsSequence()) {
    complain(std::string(name) + " must be a list");
    return entries;
  }
  for (const YAML::Node& item : list) {
    entries.emplace_back(item, file_, label_ + ", an item of " + name);
  }
  return entries;
}

std::string KubeconfigEntry::json(const char* name) {
  nlohmann::json json;
  std::size_t left = kMaxJson;
  if (!has(name)) {
    return {};
  }
  if (!to_json(at(name), 1, left, json)) {
    complain(std::string(name) + " is too large, too deeply nested, or holds an alias of itself");
    return {};
  }
  return to_json_text(json);
}

YAML::Node KubeconfigEntry::at(const char* name) const {
  return fields_.IsMap() ? fields_[name] : YAML::Node(YAML::NodeType::Undefined);
}

void KubeconfigEntry::complain(const std::string& what) {
  if (!error_) {
    error_ = wrong(what);
  }
}

Result<MergedKubeconfig> merge_kubeconfigs(const std::string& paths) {
  MergedKubeconfig merged;
  std::string tried;
  for (const fs::path& file : candidates(paths)) {
    tried += (tried.empty() ? "" : ", ") + file.string();
    std::error_code absolute_failed;
    const fs::path absolute = fs::absolute(file, absolute_failed);
    Result<void> done = merge_file(absolute_failed ? file : absolute, merged);
    if (done) {
      merged.files.push_back(file.string());
    } else if (done.error().code != ErrorCode::kNotFound) {
      return std::unexpected(std::move(done.error()));
    }
  }
  if (merged.files.empty()) {
    return fail(ErrorCode::kNotFound,
                "no kubeconfig: " + (tried.empty() ? "the list is empty" : tried + " not found"));
  }
  return merged;
}

}  // namespace sessmtp::kube
