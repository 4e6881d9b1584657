#include "ses/region.h"

#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <string_view>

namespace sessmtp::ses {
namespace {

TEST(Region, SyntaxIsThatOfAwsRegions) {
  for (const std::string_view region :
       {"eu-west-1", "us-gov-west-1", "ap-southeast-3", "us-isob-east-1", "eusc-de-east-1", "cn-north-1",
        "mx-central-1", "us-east-12", "aa-abcdefghijklmnopqrstuvwxyz-12"}) {
    EXPECT_TRUE(has_region_syntax(region)) << region;
  }
}

TEST(Region, SyntaxRefusesWhatPeoplePutThereByMistake) {
  for (const std::string_view text : {"",
                                      "eu-west-1a",
                                      "EU-WEST-1",
                                      "eu-west",
                                      "eu-west-",
                                      "eu--1",
                                      "eu-1",
                                      "-west-1",
                                      "e-west-1",
                                      "europe-west-1",
                                      "eu_west_1",
                                      "eu-west-1 ",
                                      " eu-west-1",
                                      "eu-west-1\n",
                                      "eu-west-1-",
                                      "us-west-2-lax-1",
                                      "eu-west-1.amazonaws.com",
                                      "eu-wést-1",
                                      "$(REGION)",
                                      "aa-abcdefghijklmnopqrstuvwxyz-123"}) {
    EXPECT_FALSE(has_region_syntax(text)) << text;
  }
}

TEST(Region, ListHoldsTheRegionsThatPeopleUseAndNotTheOnesWithoutSmtp) {
  for (const std::string_view region : {"us-east-1", "us-west-2", "eu-west-1", "eu-central-1",
                                        "ap-northeast-3", "sa-east-1", "us-gov-west-1", "us-gov-east-1"}) {
    EXPECT_TRUE(is_known_smtp_region(region)) << region;
  }
  for (const std::string_view region :
       {"", "af-south-1", "eu-central-2", "me-south-1", "eu-west-9", "eu-west"}) {
    EXPECT_FALSE(is_known_smtp_region(region)) << region;
  }
}

TEST(Region, OtherPartitionsHaveNoDefaultEndpoint) {
  for (const std::string_view region : {"eu-west-1", "us-gov-west-1", "eu-central-2", "ca-central-1"}) {
    EXPECT_TRUE(has_default_endpoint(region)) << region;
  }
  for (const std::string_view region : {"cn-north-1", "cn-northwest-1", "eusc-de-east-1", "us-iso-east-1",
                                        "us-isob-east-1", "eu-isoe-west-1", "", "eu-west-1.evil.example/"}) {
    EXPECT_FALSE(has_default_endpoint(region)) << region;
  }
}

TEST(Region, SuggestsTheRegionThatWasMeant) {
  struct Case {
    std::string_view given;
    std::optional<std::string> meant;
  };
  for (const Case& c :
       {Case{"eu-west-1a", "eu-west-1"}, Case{"us-gov-west-1b", "us-gov-west-1"},
        Case{"EU-WEST-1", "eu-west-1"}, Case{" eu-west-1\r\n", "eu-west-1"},
        Case{"us-west-2-lax-1a", "us-west-2"}, Case{"Eu-West-1A", "eu-west-1"},
        Case{"europe-west1", std::nullopt}, Case{"eu-west", std::nullopt},
        Case{"eu-west-1 eu-west-2", std::nullopt}, Case{"eu-west-1.amazonaws.com", std::nullopt},
        Case{"", std::nullopt}, Case{"wJalrXUtnFEMI/K7MDENG/bPxRfiCY", std::nullopt}}) {
    EXPECT_EQ(suggest_region(c.given), c.meant) << c.given;
  }
}

}  // namespace
}  // namespace sessmtp::ses
