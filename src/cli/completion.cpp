#include "cli/completion.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <iterator>
#include <mutex>
#include <ostream>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>

#include "api/names.h"
#include "base/text.h"
#include "kube/client.h"
#include "kube/object.h"
#include "ses/region.h"

namespace sessmtp::cli {
namespace {

using Options = std::vector<const CLI::Option*>;

bool is_shown(const CLI::Option* option) {
  return !option->get_group().empty();
}

bool takes_value(const CLI::Option* option) {
  return option->get_items_expected_max() > 0;
}

bool has_long_name(const CLI::Option* option, std::string_view name) {
  return std::ranges::find(option->get_lnames(), name) != option->get_lnames().end();
}

// "a" and "b" of the "{a,b}" that a check for enumerated values has in the help.
std::vector<Candidate> enumerated(const std::string& type) {
  std::vector<Candidate> values;
  const std::size_t open = type.find('{');
  const std::size_t close = type.find('}', open);
  if (open == std::string::npos || close == std::string::npos) {
    return values;
  }
  std::string_view list = std::string_view(type).substr(open + 1, close - open - 1);
  while (!list.empty()) {
    const std::string_view value = list.substr(0, list.find(','));
    values.push_back({.text = std::string(value)});
    list.remove_prefix(std::min(list.size(), value.size() + 1));
  }
  return values;
}

bool is_file(const CLI::Option* option, std::string_view type) {
  const auto& names = option->get_lnames();
  return type.contains("FILE") || has_long_name(option, "kubeconfig") ||
         std::ranges::any_of(names, [](std::string_view name) {
           return name.ends_with("file") || name.ends_with("filename");
         });
}

// What the help tells of the value: its type, for a positional its name.
void ask_for_value(const CLI::Option* option, Question& question) {
  const std::string type =
      (option->get_positional() ? option->get_name() + ' ' : "") + option->get_type_name();
  question.candidates = enumerated(type);
  if (!question.candidates.empty()) {
    return;
  }
  if (is_file(option, type)) {
    question.wanted = Wanted::kFile;
  } else if (has_long_name(option, "region")) {
    std::ranges::transform(ses::known_smtp_regions(), std::back_inserter(question.candidates),
                           [](std::string_view region) { return Candidate{.text = std::string(region)}; });
  } else if (type.contains("SECRET")) {
    question.wanted = Wanted::kSecret;
  } else if (type.contains("CREDENTIAL") || (option->get_positional() && option->get_name() == "NAME")) {
    question.wanted = Wanted::kCredential;
  } else if (has_long_name(option, "namespace") || has_long_name(option, "watch-namespaces")) {
    question.wanted = Wanted::kNamespace;
  }
}

void ask_for_flag(const CLI::App& command, Question& question) {
  for (const CLI::Option* option : command.get_options(is_shown)) {
    for (const std::string& name : option->get_lnames()) {
      question.candidates.push_back({.text = "--" + name, .description = option->get_description()});
    }
    if (option->get_lnames().empty()) {
      for (const std::string& name : option->get_snames()) {
        question.candidates.push_back({.text = '-' + name, .description = option->get_description()});
      }
    }
  }
}

void ask_for_argument(const CLI::App& command, std::size_t number, Question& question) {
  for (const CLI::App* subcommand : command.get_subcommands([](const CLI::App*) { return true; })) {
    if (number == 0 && !subcommand->get_group().empty()) {
      question.candidates.push_back(
          {.text = subcommand->get_name(), .description = subcommand->get_description()});
    }
  }
  const Options positionals = command.get_options(
      [](const CLI::Option* option) { return option->get_positional() && is_shown(option); });
  if (positionals.empty()) {
    return;
  }
  const CLI::Option* last = positionals.back();
  if (number < positionals.size()) {
    ask_for_value(positionals[number], question);
  } else if (last->get_items_expected_max() > 1) {
    ask_for_value(last, question);
  }
}

// A flag with its value, as far as the cluster is chosen by it.
void remember(const CLI::Option* option, const std::string& value, ClusterOptions& cluster) {
  if (has_long_name(option, "kubeconfig")) {
    cluster.kubeconfig = value;
  } else if (has_long_name(option, "context")) {
    cluster.context = value;
  } else if (has_long_name(option, "namespace")) {
    cluster.namespace_ = value;
  }
}

// Where the words before the last lead to.
struct Place {
  const CLI::App* command;
  const CLI::Option* option = nullptr;  // that waits for its value
  std::size_t arguments = 0;            // before
  bool only_arguments = false;          // after "--"
};

void walk(const std::string& word, Place& place, ClusterOptions& cluster) {
  if (place.option != nullptr) {
    remember(std::exchange(place.option, nullptr), word, cluster);
    return;
  }
  if (word == "--") {
    place.only_arguments = true;
    return;
  }
  if (word.starts_with('-') && word != "-" && !place.only_arguments) {
    const std::size_t equals = word.find('=');
    const CLI::Option* option = place.command->get_option_no_throw(word.substr(0, equals));
    if (option != nullptr && takes_value(option)) {
      if (equals == std::string::npos) {
        place.option = option;
      } else {
        remember(option, word.substr(equals + 1), cluster);
      }
    }
    return;
  }
  const auto next = place.command->get_subcommands(
      [&word](const CLI::App* subcommand) { return subcommand->get_name() == word; });
  if (place.arguments == 0 && !next.empty()) {
    place = {.command = next.front()};
  } else {
    ++place.arguments;
  }
}

// ---- names from the cluster
// --------------------------------------------------------------------------------

constexpr std::chrono::seconds kPatience(2);

// Asks to stop when the time is over.
class Deadline {
 public:
  Deadline()
      : thread_([this](const std::stop_token& done) {
          std::mutex mutex;
          std::unique_lock lock(mutex);
          std::condition_variable_any().wait_for(lock, done, kPatience, [] { return false; });
          late_.request_stop();
        }) {}

  [[nodiscard]] std::stop_token token() const { return late_.get_token(); }

 private:
  std::stop_source late_;
  std::jthread thread_;
};

std::string path_of(Wanted wanted, const std::string& namespace_) {
  switch (wanted) {
    case Wanted::kCredential:
      return api::credential_path(namespace_);
    case Wanted::kSecret:
      return api::secret_path(namespace_);
    default:
      return kube::resource_path("v1", "", "namespaces");
  }
}

// "shop/ma" asks for those of namespace shop.
void ask_cluster(Question& question) {
  const auto access = ClusterAccess::open(question.cluster);
  if (!access) {
    return;
  }
  std::string namespace_ = (*access)->namespace_name();
  std::string prefix;
  const std::size_t slash = question.word.find('/');
  if (slash != std::string::npos && question.wanted != Wanted::kNamespace) {
    namespace_ = question.word.substr(0, slash);
    prefix = namespace_ + '/';
    if (!is_dns_name(namespace_, 63, false)) {
      return;
    }
  }
  constexpr int kMost = 500;
  kube::ListOptions page{.resource_version = "0",
                         .continue_token = {},
                         .field_selector = {},
                         .limit = kMost,
                         .representation = kube::Representation::kMetadataOnly};
  const Deadline deadline;
  (void)(*access)->client().list(path_of(question.wanted, namespace_), page, deadline.token(),
                                 [&question, &prefix](std::string_view object) {
                                   if (const auto meta = kube::parse_meta(object)) {
                                     question.candidates.push_back({.text = prefix + meta->name});
                                   }
                                 });
}

void keep_matching(Question& question) {
  std::erase_if(question.candidates, [&question](const Candidate& candidate) {
    return !candidate.text.starts_with(question.word);
  });
}

void silence() {
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing >= 0) {
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(nothing, STDERR_FILENO);
    ::close(nothing);
  }
}

// ---- scripts
// -----------------------------------------------------------------------------------------------

constexpr std::string_view kBash =
    R"script(# bash completion for ses-smtp:  source <(ses-smtp completion bash)
_ses_smtp() {
  local i line program=${COMP_WORDS[0]/#\~/$HOME} before=
  local -a words=() lines=()
  # Bash may take --flag=value for three words.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    if ((${#words[@]})) && [[ ${COMP_WORDS[i]} == '=' || ${COMP_WORDS[i - 1]} == '=' ]]; then
      words[${#words[@]} - 1]+=${COMP_WORDS[i]}
    else
      words+=("${COMP_WORDS[i]}")
    fi
  done
  if [[ $COMP_WORDBREAKS == *=* && ${words[${#words[@]} - 1]} == -*=* ]]; then
    before=${words[${#words[@]} - 1]%%=*}=
  fi
  COMPREPLY=()
  while IFS= read -r line; do
    lines+=("$line")
  done < <("$program" __complete "${words[@]}" 2>/dev/null)
  for line in "${lines[@]}"; do
    case $line in
      :0) compopt -o default 2>/dev/null ;;
      :*) ;;
      *)
        line=${line%%$'\t'*}
        COMPREPLY+=("${line#"$before"}")
        ;;
    esac
  done
}
complete -F _ses_smtp ses-smtp
)script";

constexpr std::string_view kZsh = R"script(#compdef ses-smtp
# zsh completion for ses-smtp, after compinit:  source <(ses-smtp completion zsh)
_ses_smtp() {
  local line name files=
  local -a lines candidates
  lines=("${(@f)$(${(Q)~words[1]} __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "${lines[@]}"; do
    case $line in
      :0) files=yes ;;
      :*|'') ;;
      *$'\t'*)
        name=${line%%$'\t'*}
        candidates+=("${name//:/\\:}:${line#*$'\t'}")
        ;;
      *) candidates+=("${line//:/\\:}") ;;
    esac
  done
  if [[ -n $files ]]; then
    compset -P '--*='
    _files
  else
    _describe -V ses-smtp candidates
  fi
}
if [[ $funcstack[1] == _ses_smtp ]]; then
  _ses_smtp "$@"
else
  compdef _ses_smtp ses-smtp
fi
)script";

}  // namespace

CLI::App* add_completion(CLI::App& app, CompletionOptions& options) {
  CLI::App* command = app.add_subcommand("completion", "Print a script that makes a shell complete ses-smtp");
  command->footer(
      "Commands, flags, their values and names of files complete, and with a usable kubeconfig names of\n"
      "namespaces, credentials and Secrets.\n\n"
      "In ~/.bashrc:\n"
      "  source <(ses-smtp completion bash)\n"
      "In ~/.zshrc, after compinit:\n"
      "  source <(ses-smtp completion zsh)\n"
      "For kubectl ses-smtp, in a folder of PATH, besides the completion of kubectl itself:\n"
      "  ln -s \"$(command -v ses-smtp)\" /usr/local/bin/kubectl-ses_smtp\n"
      "  ln -s \"$(command -v ses-smtp)\" /usr/local/bin/kubectl_complete-ses_smtp");
  command->add_option("SHELL", options.shell, "The shell to make it for")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  return command;
}

ExitCode run_completion(const CompletionOptions& options, std::ostream& out) {
  out << (options.shell == "zsh" ? kZsh : kBash) << std::flush;
  return out ? kOk : kFailed;
}

Question what_is_asked(const CLI::App& app, std::vector<std::string> words) {
  Question question;
  if (!words.empty()) {
    question.word = std::move(words.back());
    words.pop_back();
  }
  if (const char* kubeconfig = std::getenv("KUBECONFIG")) {
    question.cluster.kubeconfig = kubeconfig;
  }
  Place place{.command = &app};
  for (const std::string& word : words) {
    walk(word, place, question.cluster);
  }
  const std::string& word = question.word;
  if (place.option != nullptr) {
    ask_for_value(place.option, question);
  } else if (word.starts_with('-') && !place.only_arguments) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) {
      ask_for_flag(*place.command, question);
    } else if (const CLI::Option* option = place.command->get_option_no_throw(word.substr(0, equals));
               option != nullptr && takes_value(option)) {
      question.before = word.substr(0, equals + 1);
      question.word.erase(0, equals + 1);
      ask_for_value(option, question);
    }
  } else {
    ask_for_argument(*place.command, place.arguments, question);
  }
  keep_matching(question);
  return question;
}

ExitCode run_complete(const CLI::App& app, std::vector<std::string> words, std::ostream& out) {
  silence();
  Question question = what_is_asked(app, std::move(words));
  if (question.wanted != Wanted::kWord && question.wanted != Wanted::kFile) {
    ask_cluster(question);
    keep_matching(question);
  }
  for (const Candidate& candidate : question.candidates) {
    out << question.before << candidate.text;
    if (!candidate.description.empty()) {
      out << '\t' << candidate.description;
    }
    out << '\n';
  }
  out << (question.wanted == Wanted::kFile ? ":0\n" : ":4\n") << std::flush;
  return kOk;
}

}  // namespace sessmtp::cli
