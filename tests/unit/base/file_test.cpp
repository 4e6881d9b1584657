#include "base/file.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace sessmtp {
namespace {

using testing::HasSubstr;
using testing::Not;

class ReadFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "ses-smtp-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path file_with(const std::string& content) {
    const std::filesystem::path path = folder_ / "file";
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  std::filesystem::path folder_;
};

TEST_F(ReadFile, GivesEveryByte) {
  std::string content(100'000, 'x');
  content[5] = '\0';
  content.back() = '\n';
  EXPECT_EQ(read_file(file_with(content)).value(), content);
  EXPECT_EQ(read_file(file_with("")).value(), "");
}

TEST_F(ReadFile, AbsentFileIsToldApartAndNamed) {
  const auto content = read_file(folder_ / "absent");
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(content.error().message, HasSubstr("absent: No such file"));
}

TEST_F(ReadFile, SizeIsLimited) {
  const std::filesystem::path path = file_with("12345");
  EXPECT_EQ(read_file(path, 5).value(), "12345");
  const auto content = read_file(path, 4);
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code, ErrorCode::kInvalidInput);
  EXPECT_THAT(content.error().message, Not(HasSubstr("12345")));
}

TEST_F(ReadFile, EndlessFileIsGivenUpAtTheLimit) {
  EXPECT_FALSE(read_file("/dev/zero", 1000));
}

TEST_F(ReadFile, FolderIsAnError) {
  const auto content = read_file(folder_);
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace sessmtp
