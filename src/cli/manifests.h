// Kubernetes objects in files, as kubectl reads them: YAML with several documents or JSON, lists unpacked.
//
// Only the objects that are asked for have to be sound; a folder may hold anything else besides. Messages
// name file, document and field, never a value: the objects may be Secrets. Not thread-safe: standard input.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sessmtp::cli {

inline constexpr std::size_t kMaxManifestFile = std::size_t{16} << 20;

struct Manifest {
  std::string where;  // "shop.yaml, document 2, item 3"
  nlohmann::json object;
};

struct Manifests {
  std::vector<Manifest> found;        // in the order in which they stand
  std::vector<std::string> problems;  // what could not be read, each with its place
};

using WantedKind = std::function<bool(std::string_view api_version, std::string_view kind)>;

// Each path is a file, "-" for the descriptor `in`, or a folder, of which the files *.yaml, *.yml and *.json
// are read in the order of their names; those of its folders too if `recursive`.
[[nodiscard]] Manifests read_manifests(const std::vector<std::string>& paths, bool recursive, int in,
                                       const WantedKind& wanted);

// What stands in one file. Numbers, truth values and null are what YAML says they are; a text that looks
// like one of them has to stand in quotes, as the API server demands.
void parse_manifests(std::string_view text, const std::string& file, const WantedKind& wanted,
                     Manifests& into);

}  // namespace sessmtp::cli
