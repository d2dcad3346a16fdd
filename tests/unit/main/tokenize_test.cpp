// `hydrajob tokenize`: what it prints, and what it refuses.
#include <fstream>

#include <gtest/gtest.h>

#include "main/command_tokenize.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/tokenizer/files.hpp"

namespace hydrajob {
namespace {

class Tokenize : public ::testing::Test {
 protected:
  Tokenize() {
    write("tokenizer.model", test::small_sentencepiece());
    write("tokenizer.json", test::byte_level_json(R"("ab":256)", R"("a b")"));
  }

  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  std::string printed(const std::vector<std::string>& arguments) const {
    testing::internal::CaptureStdout();
    const std::string refused = failure([&] { run_tokenize(arguments); });
    const std::string output = testing::internal::GetCapturedStdout();
    EXPECT_EQ(refused, "no error");
    return output;
  }

  std::string refusal(const std::vector<std::string>& arguments) const {
    testing::internal::CaptureStdout();
    const std::string refused = failure([&] { run_tokenize(arguments); });
    testing::internal::GetCapturedStdout();
    return refused;
  }

 private:
  test::TemporaryFolder folder_;
};

TEST_F(Tokenize, PrintsTheTokensOfEachLine) {
  const std::string text = write("text", "ab a\n\nab\t");
  EXPECT_EQ(printed({path("tokenizer.model"), text}),
            "1:<s> 263:▁ab 259:▁ 260:a\n1:<s>\n1:<s> 263:▁ab 12:<0x09>\n");
  EXPECT_EQ(printed({path("tokenizer.model"), text, "--ids"}), "1 263 259 260\n1\n1 263 12\n");
  EXPECT_EQ(printed({path("tokenizer.model"), "--ids", "--no-special", text}), "263 259 260\n\n263 12\n");
  EXPECT_EQ(printed({path("tokenizer.json"), "--ids", text, text}),
            "256 32 97\n\n256 9\n256 32 97\n\n256 9\n");
}

TEST_F(Tokenize, ReadsIdsBack) {
  EXPECT_EQ(printed({path("tokenizer.model"), "--decode", write("ids", "1 263  259 260\n\n 12\t\n")}),
            "ab a\n\n\t\n");
}

TEST_F(Tokenize, SaysWhatIsWrong) {
  const std::string model = path("tokenizer.model");
  EXPECT_EQ(refusal({}), "tokenize: which TOKENIZER? A model, a tokenizer.model or a tokenizer.json");
  EXPECT_EQ(refusal({model, "--ids", "--decode"}), "tokenize: --ids and --decode: expected one of them");
  EXPECT_NE(refusal({model, "--nonsense"}).find("--nonsense"), std::string::npos);
  const std::string ids = write("ids", "1\n1 x2\n");
  EXPECT_EQ(refusal({model, "--decode", ids}), ids + ":2: 'x2': expected a token id");
  const std::string large = write("large", "1\n265\n");
  EXPECT_EQ(refusal({model, "--decode", large}), large + ":2: token id 265: expected 0 to 264");
  EXPECT_EQ(refusal({model, path("none")}), path("none") + ": cannot be read: No such file or directory");
  EXPECT_EQ(refusal({path("none")}), path("none") + ": cannot be read: No such file or directory");
  EXPECT_EQ(refusal({write("other", "MZ")}),
            path("other") + ": neither a tokenizer.json nor a sentencepiece tokenizer.model");
  EXPECT_EQ(refusal({path("")}),
            path("") + ": is a folder, expected a file: its tokenizer.json or tokenizer.model");
  EXPECT_NE(refusal({model, "--no-spec"}).find("--no-spec"), std::string::npos) << "not guessed";
  EXPECT_EQ(refusal({model, path("")}), path("") + ": is a folder, expected a file");
}

}  // namespace
}  // namespace hydrajob
