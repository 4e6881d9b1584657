#include "cli/manifests.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "../kube/temporary_folder.h"
#include "cli/object_output.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

bool is_secret(std::string_view api_version, std::string_view kind) {
  return api_version == "v1" && kind == "Secret";
}

Manifests parsed(const std::string& text) {
  Manifests result;
  parse_manifests(text, "f.yaml", is_secret, result);
  return result;
}

const std::string kHead = "apiVersion: v1\nkind: Secret\n";

// The one object, which is sound.
json one(const std::string& text) {
  const Manifests result = parsed(text);
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_THAT(result.found, SizeIs(1));
  return result.found.empty() ? json() : result.found.front().object;
}

std::string only_problem(const std::string& text) {
  const Manifests result = parsed(text);
  EXPECT_THAT(result.found, IsEmpty());
  EXPECT_THAT(result.problems, SizeIs(1));
  return result.problems.empty() ? std::string() : result.problems.front();
}

std::vector<std::string> places(const Manifests& manifests) {
  std::vector<std::string> result;
  for (const Manifest& manifest : manifests.found) {
    result.push_back(manifest.where);
  }
  return result;
}

TEST(Manifests, SaysWhereEachObjectStands) {
  const Manifests result =
      parsed("---\n# only a comment\n---\n" + kHead + "---\napiVersion: v1\nkind: List\nitems:\n" +
             "- {apiVersion: v1, kind: ConfigMap}\n- {apiVersion: v1, kind: Secret}\n");
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_THAT(places(result), ElementsAre("f.yaml, document 2", "f.yaml, document 3, item 2"));
}

TEST(Manifests, ItemsOfAListOfOneKindNeedNotSayWhatTheyAre) {
  EXPECT_EQ(one(R"({"apiVersion":"v1","kind":"SecretList","items":[{"type":"Opaque"}]})"),
            json({{"apiVersion", "v1"}, {"kind", "Secret"}, {"type", "Opaque"}}));
}

TEST(Manifests, ValuesAreWhatYamlSaysTheyAre) {
  const json object = one(kHead +
                          "values: [587, '587', yes, \"yes\", 1e5, !!str 5, ~, , text, 1.5, -3, 2026-01-01]\n"
                          "block: |\n  two\n  lines\n");
  EXPECT_EQ(object["values"],
            json({587, "587", true, "yes", 1e5, "5", nullptr, nullptr, "text", 1.5, -3, "2026-01-01"}));
  EXPECT_EQ(object["block"], "two\nlines\n");
}

TEST(Manifests, JsonIsReadAsJson) {
  EXPECT_EQ(one(" {\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"note\":\"\\ud83d\\udce7\\/\"}")["note"],
            "📧/");
  EXPECT_EQ(one("{apiVersion: v1, kind: Secret, note: flow}")["note"], "flow");
}

TEST(Manifests, AnchorsAreFollowed) {
  EXPECT_EQ(one(kHead + "a: &a {x: 1}\nb: *a\n")["b"], json({{"x", 1}}));
}

TEST(Manifests, NumbersThatJsonDoesNotHaveAreRefused) {
  for (const char* number : {".inf", "-.inf", ".nan"}) {
    EXPECT_THAT(parsed(kHead + "a: " + number).problems, ElementsAre(HasSubstr("a is a number that JSON")));
  }
}

TEST(Manifests, WhatIsPrintedIsReadAsTheSame) {
  const json object = one(kHead + R"(a: [~, "", "null", "~", true, "true", 1, "1", 1.5])");
  std::ostringstream out;
  print_objects({object}, ObjectFormat::kYaml, out);
  EXPECT_EQ(one(out.str()), object);
}

TEST(Manifests, MistakesAreNamedByPlaceAndPath) {
  EXPECT_THAT(
      only_problem(kHead + "data:\n  key: top-secret-a\n  key: top-secret-b\n"),
      AllOf(HasSubstr("f.yaml, document 1: Secret: data.key is there twice"), Not(HasSubstr("top-"))));
  EXPECT_THAT(only_problem(kHead + "a: &a {x: 1}\nlist: [{<<: *a}]\n"),
              HasSubstr("list[0].<< is a merge key"));
  EXPECT_THAT(only_problem(kHead + "data: {key: !!binary AAAA}\n"),
              AllOf(HasSubstr("data.key has a YAML tag"), Not(HasSubstr("AAAA"))));
  EXPECT_THAT(only_problem(kHead + "data: {[a]: b}\n"), HasSubstr("data has a field whose name is no text"));
}

TEST(Manifests, WhatNobodyAsksForMayBeWrong) {
  const Manifests result =
      parsed("apiVersion: apps/v1\nkind: Deployment\nspec: {a: 1, a: 2, b: !Ref x}\n---\n" + kHead);
  EXPECT_THAT(result.problems, IsEmpty());
  EXPECT_THAT(places(result), ElementsAre("f.yaml, document 2"));
}

TEST(Manifests, WhatIsNoYamlIsNamedByItsLine) {
  EXPECT_THAT(only_problem(kHead + "data: {key: top-secret\n  : [\n"),
              AllOf(HasSubstr("f.yaml: not valid YAML, line "), Not(HasSubstr("top-"))));
}

TEST(Manifests, WhatIsNoObjectIsRefused) {
  for (const char* text : {"just text", "[1, 2]", "a: 1", "kind: Secret", R"({"a":1})", "kind: [Secret]"}) {
    EXPECT_THAT(only_problem(text), HasSubstr("no Kubernetes object")) << text;
  }
  EXPECT_THAT(parsed("").problems, IsEmpty());
}

TEST(Manifests, BytesThatAreNotUtf8AreAMistake) {
  EXPECT_THAT(only_problem(kHead + "a: {b: \"w\xff\"}\n"), HasSubstr("a.b is not UTF-8"));
  EXPECT_THAT(only_problem(kHead + "a: {w\xff: b}\n"), HasSubstr("a has a field whose name is not UTF-8"));
}

TEST(Manifests, NothingMakesItEndless) {
  for (const int levels : {5, 12}) {  // a few hundred thousand nodes; more than anything could hold
    std::string bomb = kHead + "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < levels; ++i) {
      const std::string before = "*a" + std::to_string(i - 1);
      bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
      for (int j = 1; j < 10; ++j) {
        bomb += ", " + before;
      }
      bomb += "]\n";
    }
    EXPECT_THAT(only_problem(bomb), HasSubstr("too large")) << levels;
  }
  EXPECT_THAT(only_problem(kHead + "a: &a [*a]\n"), HasSubstr("too large or too deeply nested"));
  EXPECT_THAT(only_problem(kHead + "a: " + std::string(200, '[') + std::string(200, ']')),
              HasSubstr("too deeply nested"));
  EXPECT_THAT(only_problem(kHead + "a: " + std::string(100'000, '[')), HasSubstr("not valid YAML"));
  EXPECT_THAT(only_problem(kHead + "text: &t " + std::string(1 << 20, 'x') + "\nall: [" +
                           [] {
                             std::string many = "*t";
                             for (int i = 0; i < 100; ++i) {
                               many += ", *t";
                             }
                             return many;
                           }() +
                           "]\n"),
              HasSubstr("too large"));
}

TEST(Manifests, OfAFolderManifestsAreReadInTheOrderOfTheirNames) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "inner");
  const std::string top = folder.path().string();
  for (const char* name : {"b.yml", "a.json", "inner/c.yaml", "README.md", "values.txt"}) {
    (void)folder.write(
        name, std::string(name).ends_with("json") ? R"({"apiVersion":"v1","kind":"Secret"})" : kHead);
  }
  std::filesystem::create_directory_symlink(folder.path(), folder.path() / "inner" / "circle");
  const Manifests flat = read_manifests({top}, false, -1, is_secret);
  EXPECT_THAT(flat.problems, IsEmpty());
  EXPECT_THAT(places(flat), ElementsAre(top + "/a.json", top + "/b.yml, document 1"));
  const Manifests deep = read_manifests({top}, true, -1, is_secret);
  EXPECT_THAT(deep.problems, IsEmpty());
  EXPECT_THAT(places(deep),
              ElementsAre(top + "/a.json", top + "/b.yml, document 1", top + "/inner/c.yaml, document 1"));
}

TEST(Manifests, EveryFileThatCannotBeReadIsNamed) {
  const TemporaryFolder folder;
  const std::string lost = (folder.path() / "lost.yaml").string();
  const std::string large = folder.write("large.yaml", std::string(kMaxManifestFile + 1, ' ')).string();
  EXPECT_THAT(read_manifests({lost, large}, false, -1, is_secret).problems,
              ElementsAre(HasSubstr(lost), HasSubstr(large)));
}

}  // namespace
}  // namespace sessmtp::cli
