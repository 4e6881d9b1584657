#include "cli/status_table.h"

#include <algorithm>
#include <chrono>
#include <optional>

namespace sessmtp::cli {
namespace {

struct Cell {
  std::string text;
  Ink ink = Ink::kPlain;
};

using Row = std::vector<Cell>;

Cell plain(std::string_view text) {
  return {.text = text.empty() ? "-" : printable(text)};
}

Cell age(const std::optional<WallTime>& since, WallTime now) {
  return plain(since ? short_age(std::chrono::duration_cast<std::chrono::seconds>(now - *since)) : "");
}

// "AKIA*MPLE": the stars of the mask tell nothing, and take the room of a column.
std::string short_mask(const std::string& id) {
  const auto first = id.find('*');
  const auto last = id.rfind('*');
  return first == std::string::npos ? id : id.substr(0, first + 1) + id.substr(last + 1);
}

Cell ready_cell(const CredentialView& one) {
  Cell cell = plain(one.ready.status);
  cell.ink = one.is_ready() ? Ink::kGood : one.is_well() ? Ink::kDim : Ink::kBad;
  return cell;
}

Cell reason_cell(const CredentialView& one) {
  if (one.deleting) {
    return {.text = "Deleting", .ink = Ink::kDim};
  }
  if (one.suspended) {
    return {.text = "Suspended", .ink = Ink::kDoubtful};
  }
  Cell cell = plain(one.ready.reason);
  cell.ink = one.is_ready() ? Ink::kPlain : Ink::kBad;
  return cell;
}

Cell verified_cell(const ConditionView& verified) {
  Cell cell = plain(verified.reason);
  cell.ink = verified.status == "True" ? Ink::kGood : verified.status == "False" ? Ink::kBad : Ink::kDoubtful;
  return cell;
}

class Table {
 public:
  Table(const std::vector<CredentialView>& credentials, const TableStyle& style)
      : style_(style), verified_(std::ranges::any_of(credentials, [](const CredentialView& one) {
          return !one.verified.status.empty();
        })) {
    rows_.push_back(heading());
    std::ranges::transform(credentials, std::back_inserter(rows_),
                           [this](const CredentialView& one) { return row(one); });
    widths_.resize(rows_.front().size());
    for (const Row& one : rows_) {
      for (std::size_t i = 0; i < one.size(); ++i) {
        widths_[i] = std::max(widths_[i], one[i].text.size());
      }
    }
  }

  [[nodiscard]] std::string line(std::size_t number, const Paint& paint) const {
    std::string text;
    const Row& cells = rows_[number];
    for (std::size_t i = 0; i < cells.size(); ++i) {
      text += paint(cells[i].ink, cells[i].text);
      if (i + 1 < cells.size()) {
        text.append(widths_[i] - cells[i].text.size() + 2, ' ');
      }
    }
    return text + '\n';
  }

 private:
  [[nodiscard]] Row heading() const {
    Row row;
    for (const char* name :
         {"NAMESPACE", "NAME", "READY", "REASON", "REGION", "SECRET", "KEY", "VERIFIED", "ROTATED", "AGE"}) {
      const std::string_view column(name);
      if ((column != "NAMESPACE" || style_.namespaces) && (column != "VERIFIED" || verified_)) {
        row.push_back({.text = name, .ink = Ink::kBold});
      }
    }
    return row;
  }

  [[nodiscard]] Row row(const CredentialView& one) const {
    Row row;
    if (style_.namespaces) {
      row.push_back(plain(one.namespace_));
    }
    row.insert(row.end(), {plain(one.name), ready_cell(one), reason_cell(one), plain(one.region),
                           plain(one.secret), plain(short_mask(one.access_key_id))});
    if (verified_) {
      row.push_back(verified_cell(one.verified));
    }
    row.push_back(age(one.rotated, style_.now));
    row.push_back(age(one.created, style_.now));
    return row;
  }

  const TableStyle& style_;
  const bool verified_;
  std::vector<Row> rows_;
  std::vector<std::size_t> widths_;
};

constexpr std::string_view kIndent = "    ";

}  // namespace

std::string status_table(const std::vector<CredentialView>& credentials, const TableStyle& style,
                         const Paint& paint) {
  const Table table(credentials, style);
  const std::size_t room = style.columns > 2 * kIndent.size() ? style.columns - kIndent.size() : 0;
  std::string text = table.line(0, paint);
  for (std::size_t i = 0; i < credentials.size(); ++i) {
    text += table.line(i + 1, paint);
    if (const std::string hint = printable(credentials[i].hint()); !hint.empty()) {
      for (const std::string& line : wrapped(hint, room)) {
        text += std::string(kIndent) + paint(Ink::kDoubtful, line) + '\n';
      }
    }
  }
  return text;
}

}  // namespace sessmtp::cli
