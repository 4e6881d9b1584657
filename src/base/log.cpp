#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace sessmtp::log {
namespace {

constexpr auto kJsonPattern = R"({"ts":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";
constexpr auto kTextPattern = "%H:%M:%S %^%-5l%$ %v";

std::atomic<Format> g_format = Format::kText;

spdlog::logger& logger() {
  static const auto instance = [] {
    auto created = spdlog::stderr_color_mt("ses-smtp");
    created->set_pattern(kTextPattern);
    created->flush_on(spdlog::level::trace);
    return created;
  }();
  return *instance;
}

std::string quoted(const std::string& text) {
  return to_json_text(nlohmann::json(text));
}

std::string value_text(const Field& field, Format format) {
  return std::visit(
      [format](const auto& value) -> std::string {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::string>) {
          const bool plain = format == Format::kText && !value.empty() &&
                             value.find_first_of(" \t\n\r\"\\=") == std::string::npos;
          return plain ? value : quoted(value);
        } else {
          return to_json_text(nlohmann::json(value));
        }
      },
      field.value);
}

void write(spdlog::level::level_enum level, std::string_view message, Fields fields) {
  if (!logger().should_log(level)) {
    return;
  }
  const Format format = g_format;
  std::string line;
  if (format == Format::kJson) {
    line = R"("msg":)" + quoted(std::string(message));
    for (const Field& field : fields) {
      line += ',' + quoted(std::string(field.key)) + ':' + value_text(field, format);
    }
  } else {
    line = message;
    for (const Field& field : fields) {
      line += ' ' + std::string(field.key) + '=' + value_text(field, format);
    }
  }
  logger().log(level, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void configure(Level level, Format format) {
  g_format = format;
  if (format == Format::kJson) {
    logger().set_formatter(
        std::make_unique<spdlog::pattern_formatter>(kJsonPattern, spdlog::pattern_time_type::utc));
  } else {
    logger().set_pattern(kTextPattern);
  }
  switch (level) {
    case Level::kDebug:
      return logger().set_level(spdlog::level::debug);
    case Level::kInfo:
      return logger().set_level(spdlog::level::info);
    case Level::kWarn:
      return logger().set_level(spdlog::level::warn);
    case Level::kError:
      return logger().set_level(spdlog::level::err);
  }
}

void debug(std::string_view message, Fields fields) {
  write(spdlog::level::debug, message, fields);
}
void info(std::string_view message, Fields fields) {
  write(spdlog::level::info, message, fields);
}
void warn(std::string_view message, Fields fields) {
  write(spdlog::level::warn, message, fields);
}
void error(std::string_view message, Fields fields) {
  write(spdlog::level::err, message, fields);
}

}  // namespace sessmtp::log
