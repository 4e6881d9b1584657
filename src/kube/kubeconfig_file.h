// Kubeconfig files as they are written: read, merged, and their entries' fields taken out one by one.
// What the fields mean is said in kubeconfig.cpp. Not thread-safe; nothing here shows a value in an error.
#pragma once

#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "kube/config.h"

namespace sessmtp::kube {

// A named entry of one of the three lists, or a map inside one, with the file it came from. Reads its
// fields and keeps the first thing that is wrong: look at error() when all are read.
class KubeconfigEntry {
 public:
  KubeconfigEntry() = default;
  KubeconfigEntry(const YAML::Node& fields, std::filesystem::path file, std::string label)
      : fields_(fields), file_(std::move(file)), label_(std::move(label)) {}

  [[nodiscard]] const std::filesystem::path& file() const { return file_; }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] Error wrong(const std::string& what) const;

  [[nodiscard]] bool has(const char* name) const;
  std::string text(const char* name);
  // A text without control characters, for what becomes a header.
  std::string line(const char* name);
  bool flag(const char* name);
  std::vector<std::string> texts(const char* name);
  // A map of lists, flattened: [{a, 1}, {a, 2}].
  std::vector<std::pair<std::string, std::string>> map_of_texts(const char* name);
  // A relative path is relative to the file that names it.
  std::filesystem::path path(const char* name);
  Pem pem(const char* file_field, const char* data_field);
  // A map inside; what is wrong in it is its own to tell.
  [[nodiscard]] KubeconfigEntry inside(const char* name) const;
  std::vector<KubeconfigEntry> items(const char* name);
  // Whatever it is, as JSON; empty when it is not there. At most 128 KiB, aliases resolved.
  std::string json(const char* name);

 private:
  [[nodiscard]] YAML::Node at(const char* name) const;
  void complain(const std::string& what);

  YAML::Node fields_;
  std::filesystem::path file_;
  std::string label_;
  std::optional<Error> error_;
};

using KubeconfigEntries = std::map<std::string, KubeconfigEntry>;

// All files merged, as client-go:tools/clientcmd/loader.go does: of two entries with one name the first
// file's counts, as a whole.
struct MergedKubeconfig {
  std::vector<std::string> files;
  std::string current_context;
  KubeconfigEntries clusters, users, contexts;
};

// `paths` as in KubeconfigOptions. Files that are not there are left out; kNotFound when none is.
[[nodiscard]] Result<MergedKubeconfig> merge_kubeconfigs(const std::string& paths);

}  // namespace sessmtp::kube
