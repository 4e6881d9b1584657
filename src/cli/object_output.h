// Kubernetes objects as kubectl prints and takes them.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <vector>

namespace sessmtp::cli {

enum class ObjectFormat : std::uint8_t { kYaml, kJson };

// YAML: one document for each object. JSON: one object of kind List, however many there are. Names in the
// order of the alphabet, so that two outputs can be compared line by line.
void print_objects(const std::vector<nlohmann::json>& objects, ObjectFormat format, std::ostream& out);

}  // namespace sessmtp::cli
