// Shell completion. What completes are the commands, flags and values as they are declared for --help, and
// names from the cluster; a flag that is added later completes by itself.
//
// A shell asks by `ses-smtp __complete WORD...`, in the protocol of the completions that
// github.com/spf13/cobra makes, which kubectl uses for its plugins, too: a line for each candidate, with its
// description after a tab, and a last line ":4", or ":0" for "names of files".
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "cli/cluster_access.h"
#include "cli/exit_code.h"

namespace CLI {
class App;
}

namespace sessmtp::cli {

inline constexpr const char* kCompleteCommand = "__complete";

struct CompletionOptions {
  std::string shell;
};

// Declares `ses-smtp completion`; options is filled when app parses and must live as long as app.
CLI::App* add_completion(CLI::App& app, CompletionOptions& options);

// Prints the script for the shell.
[[nodiscard]] ExitCode run_completion(const CompletionOptions& options, std::ostream& out);

enum class Wanted : std::uint8_t { kWord, kFile, kNamespace, kCredential, kSecret };

struct Candidate {
  std::string text;
  std::string description = {};
};

// What the last of the words may become.
struct Question {
  Wanted wanted = Wanted::kWord;
  std::string word;         // so far; of "--output=js" it is "js"
  std::string before = {};  // and this "--output="
  std::vector<Candidate>
      candidates;               // those that begin so, unless files or names from the cluster are wanted
  ClusterOptions cluster = {};  // that the words before it choose
};

// The words come without the program's name; the last is the one to complete, and may be empty. Pure.
[[nodiscard]] Question what_is_asked(const CLI::App& app, std::vector<std::string> words);

// Answers the shell. Says nothing of errors and waits for no cluster longer than two seconds. Call before any
// thread is started; standard input and standard error are gone afterwards.
[[nodiscard]] ExitCode run_complete(const CLI::App& app, std::vector<std::string> words, std::ostream& out);

}  // namespace sessmtp::cli
