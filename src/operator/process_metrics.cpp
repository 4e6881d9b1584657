#include "operator/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>

#include "base/file.h"

namespace sessmtp::operator_ {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

// Of proc(5), /proc/pid/stat.
struct Stat {
  double cpu_ticks = 0;
  double start_ticks = 0;  // since boot
  double virtual_bytes = 0;
  double resident_pages = 0;
};

std::optional<Stat> read_stat() {
  const auto text = read_file("/proc/self/stat");
  // The second field is the program's name in parentheses, which may hold anything.
  const std::size_t name_end = text ? text->rfind(')') : std::string::npos;
  if (name_end == std::string::npos) {
    return std::nullopt;
  }
  std::istringstream rest(text->substr(name_end + 1));
  const std::vector<std::string> fields{std::istream_iterator<std::string>(rest), {}};
  const auto field = [&fields](std::size_t number) { return std::stod(fields.at(number - 3)); };
  if (fields.size() < 22) {
    return std::nullopt;
  }
  return Stat{.cpu_ticks = field(14) + field(15),
              .start_ticks = field(22),
              .virtual_bytes = field(23),
              .resident_pages = field(24)};
}

// In Unix time.
std::optional<double> read_boot_time() {
  const auto text = read_file("/proc/stat");
  const std::size_t at = text ? text->find("\nbtime ") : std::string::npos;
  return at == std::string::npos ? std::nullopt : std::optional(std::stod(text->substr(at + 7, 20)));
}

std::optional<double> count_descriptors() {
  std::error_code error;
  const std::filesystem::directory_iterator open("/proc/self/fd", error);
  if (error) {
    return std::nullopt;
  }
  return static_cast<double>(std::distance(begin(open), end(open)) - 1);  // without the one for counting
}

void add(std::vector<MetricFamily>& families, MetricType type, const char* name, const char* help,
         double value) {
  MetricFamily& family = families.emplace_back();
  family.name = name;
  family.help = help;
  family.type = type;
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
}

}  // namespace

std::vector<MetricFamily> ProcessMetrics::Collect() const {
  const auto ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::vector<MetricFamily> families;
  if (const auto stat = read_stat()) {
    add(families, MetricType::Counter, "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.", stat->cpu_ticks / ticks_per_second);
    add(families, MetricType::Gauge, "process_virtual_memory_bytes", "Virtual memory size in bytes.",
        stat->virtual_bytes);
    add(families, MetricType::Gauge, "process_resident_memory_bytes", "Resident memory size in bytes.",
        stat->resident_pages * static_cast<double>(::sysconf(_SC_PAGESIZE)));
    if (const auto boot_time = read_boot_time()) {
      add(families, MetricType::Gauge, "process_start_time_seconds",
          "Start time of the process since unix epoch in seconds.",
          *boot_time + stat->start_ticks / ticks_per_second);
    }
  }
  if (const auto count = count_descriptors()) {
    add(families, MetricType::Gauge, "process_open_fds", "Number of open file descriptors.", *count);
  }
  if (rlimit limit{}; ::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    add(families, MetricType::Gauge, "process_max_fds", "Maximum number of open file descriptors.",
        static_cast<double>(limit.rlim_cur));
  }
  return families;
}

}  // namespace sessmtp::operator_
