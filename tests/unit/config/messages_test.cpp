// Every kind of wrong configuration, and the exact words it is answered with.
#include <string>

#include <gtest/gtest.h>

#include "config/experiment.hpp"
#include "unit/config/failure.hpp"

namespace hydrajob {
namespace {

struct Case {
  const char* yaml;
  const char* message;
};

class Messages : public testing::TestWithParam<Case> {};

TEST_P(Messages, Say) {
  const auto parse = [] { parse_experiment(GetParam().yaml, "a.yaml", {}); };
  EXPECT_EQ(failure(parse), GetParam().message);
}

constexpr const char* batch_expected = "expected a whole number, from 1 to 16777216";

const Case documents[] = {
    {"", "a.yaml: empty: expected a map of keys"},
    {"# nothing\n", "a.yaml: empty: expected a map of keys"},
    {"- batch\n", "a.yaml:1:1: a list: expected a map of keys"},
    {"batch: 1\n---\nbatch: 2\n", "a.yaml:3:1: a second document: expected one a file"},
    {"batch: [1, 2\n", "a.yaml:2:1: not YAML: end of sequence flow not found"},
    {"batch: [${B}, 2]\n",
     "a.yaml:1:10: not YAML: end of sequence flow not found (inside [ ] write \"${NAME}\" in quotes)"},
    {"batch: 1\nprefix: 2\nbatch: 3\n", "a.yaml:3:1: 'batch' is given twice: first at a.yaml:1:1"},
    {"a: &a [*a]\n", "a.yaml:1:4: nested too deeply, or aliases without end"},
    {"[1, 2]: 3\n", "a.yaml:1:1: a key must be a word"},
    {"store: ${HJ_NOT_SET_ANYWHERE}\n",
     "a.yaml:1:8: the environment variable HJ_NOT_SET_ANYWHERE is not set: set it, or write "
     "${HJ_NOT_SET_ANYWHERE:-default}"},
    {"store: ${A\n", "a.yaml:1:8: '${A': '}' is missing"},
    {"store: ${A-b}\n", "a.yaml:1:8: '${A-b}': expected ${NAME} or ${NAME:-default}"},
};

const Case keys[] = {
    {"mode: paged\n\nbacth: 1\n", "a.yaml:3:1: unknown key 'bacth': did you mean 'batch'?"},
    {"zzzzzzzzzzzz: 1\n", "a.yaml:1:1: unknown key 'zzzzzzzzzzzz': docs/configuration.md lists all"},
    {"blocks:\n  - prefx: 1\n", "a.yaml:2:5: unknown key 'prefx': did you mean 'prefix'?"},
    {"blocks:\n  - store: x\n", "a.yaml:2:5: unknown key 'store': docs/configuration.md lists all"},
    {"blocks: 3\n", "a.yaml:1:9: blocks: '3': expected a list of maps"},
    {"blocks: [3]\n", "a.yaml:1:10: blocks: '3': expected a map"},
    {"blocks: []\n", "a.yaml:1:9: blocks: a list: expected a list of maps"},
    {"name: [a]\n", "a.yaml:1:7: name: a list: expected text"},
    {"store:\n", "a.yaml:2:1: store: nothing: expected text"},
};

const Case values[] = {
    {"batch: abc\n", "a.yaml:1:8: batch: 'abc': expected a whole number, from 1 to 16777216"},
    {"batch: 0\n", "a.yaml:1:8: batch: '0': expected a whole number, from 1 to 16777216"},
    {"batch: 1.5\n", "a.yaml:1:8: batch: '1.5': expected a whole number, from 1 to 16777216"},
    {"batch: [4, x]\n", "a.yaml:1:12: batch: 'x': expected a whole number, from 1 to 16777216"},
    {"batch: [4, [5]]\n", "a.yaml:1:12: batch: a list: expected a whole number, from 1 to 16777216"},
    {"batch: {a: 1}\n",
     "a.yaml:1:8: batch: a map: expected a whole number, from 1 to 16777216, a list or a range"},
    {"batch: []\n", "a.yaml:1:8: batch: a list: no values (the end of a range is excluded)"},
    {"batch: 5:5:1\n", "a.yaml:1:8: batch: '5:5:1': no values (the end of a range is excluded)"},
    {"batch: 0:5:1\n", "a.yaml:1:8: batch: '0': expected a whole number, from 1 to 16777216"},
    {"batch: 1:5:1,7\n", "a.yaml:1:8: batch: '1:5:1,7': ranges and commas cannot be mixed"},
    {"batch: 1:5\n", "a.yaml:1:8: range '1:5': expected three parts, start:end:step or start:end:xK"},
    {"zip: {batch: [4, 4, 4], prefix: [1, 2, 1]}\n", "a.yaml:1:6: zip: points 1 and 3 are the same"},
    {"batch: [4, 8, 4]\n", "a.yaml:1:8: batch: 4 is given twice"},
    {"mode: hydrogen\n",
     "a.yaml:1:7: mode: 'hydrogen': expected one of hydragen, noshared, paged, noattention, auto, vllm, "
     "vllm_notok: did you mean 'hydragen'?"},
    {"top_p: 0\n", "a.yaml:1:8: top_p: '0': expected a number, above 0 and at most 1"},
    {"temperature: nan\n", "a.yaml:1:14: temperature: 'nan': expected a number, from 0 to 1000000"},
    {"temperature: 0:1:1\n", "a.yaml:1:14: temperature: '0:1:1': expected a number, from 0 to 1000000"},
    {"workload: [generate, attention]\n",
     "a.yaml:1:11: workload: one value a block: use `blocks` for several"},
    {"weights: ''\n", "a.yaml:1:10: weights: '': expected text"},
};

const Case structure[] = {
    {"batch: 4\nzip: {batch: 3}\n", "a.yaml:2:14: 'batch' is given twice: first at a.yaml:1:8"},
    {"zip: {batch: [1, 2], prefix: [1, 2, 3]}\n",
     "a.yaml:1:30: zip: prefix has 3 values, batch has 2: expected equal numbers"},
    {"zip: 3\n", "a.yaml:1:6: zip: '3': expected a map or a list of maps"},
    {"zip: [3]\n", "a.yaml:1:7: zip: '3': expected a map"},
    {"zip: {}\n", "a.yaml:1:6: zip: a map: expected parameters"},
    {"zip: {btach: [1]}\n", "a.yaml:1:7: unknown parameter 'btach': did you mean 'batch'?"},
    {"zip: {workload: [attention]}\n", "a.yaml:1:7: workload cannot stand in zip"},
    {"prefix: 4\ntree: 1x4\n", "a.yaml:2:7: prefix and tree: give one of them"},
    {"exclude: {btach: 1}\n", "a.yaml:1:11: unknown parameter 'btach': did you mean 'batch'?"},
    {"exclude: {batch: '> x'}\n", "a.yaml:1:18: batch: 'x': expected a whole number"},
    {"exclude: {batch: '=> 4'}\n", "a.yaml:1:18: '=>' is no comparison: expected one of =, !=, <, <=, >, >="},
    {"exclude: {mode: '> paged'}\n", "a.yaml:1:17: mode has no order: expected = or !=, not >"},
    {"exclude: {mode: pagd}\n",
     "a.yaml:1:17: mode: 'pagd': expected one of hydragen, noshared, paged, noattention, auto, vllm, "
     "vllm_notok: did you mean 'paged'?"},
    {"exclude: {}\n", "a.yaml:1:10: a map: expected a map of conditions, such as {mode: paged}"},
    {"when: {if: {batch: 1}}\n", "a.yaml:1:7: when: expected {if: …, set: …}"},
    {"when: {if: {batch: 1}, then: {prefix: 1}}\n", "a.yaml:1:24: unknown key 'then': expected if, set"},
    {"when: {if: {batch: 1}, set: {batch: 2}}\n",
     "a.yaml:1:7: when: sets batch, which the condition at a.yaml:1:20 reads: write this rule before it"},
    {"when:\n  - {if: {prefix: 8}, set: {iterations: 3}}\n  - {if: {mode: paged}, set: {prefix: 4}}\n",
     "a.yaml:3:5: when: sets prefix, which the condition at a.yaml:2:19 reads: write this rule before it"},
    {"workload: attention\nnew_tokens: 4\n", "a.yaml:2:13: new_tokens has no meaning for workload attention"},
    {"new_tokens: 4\nblocks:\n  - workload: attention\n",
     "a.yaml:1:13: new_tokens has no meaning for workload attention"},
    {"workload: attention\nexclude: {top_p: 1}\n",
     "a.yaml:2:18: top_p has no meaning for workload attention"},
    {"exclude: {top_p: 1}\nblocks:\n  - workload: attention\n",
     "a.yaml:1:18: top_p has no meaning for workload attention"},
    {"when: {if: {top_p: 1}, set: {batch: 2}}\nblocks:\n  - workload: attention\n",
     "a.yaml:1:20: top_p has no meaning for workload attention"},
    {"when: {if: {batch: 1}, set: {warmup: 2, top_p: 1}}\nblocks:\n  - workload: attention\n",
     "a.yaml:1:48: top_p has no meaning for workload attention"},
    {"exclude: {top_p: 1, l2: cold}\nblocks:\n  - workload: attention\n  - {}\n",
     "a.yaml:1:18: top_p has no meaning for workload attention"},
    {"when: {if: {top_p: 1}, set: {l2: cold}}\nblocks:\n  - workload: attention\n  - {}\n",
     "a.yaml:1:20: top_p has no meaning for workload attention"},
};

INSTANTIATE_TEST_SUITE_P(Keys, Messages, testing::ValuesIn(keys));
INSTANTIATE_TEST_SUITE_P(Values, Messages, testing::ValuesIn(values));
INSTANTIATE_TEST_SUITE_P(Structure, Messages, testing::ValuesIn(structure));
INSTANTIATE_TEST_SUITE_P(Documents, Messages, testing::ValuesIn(documents));

TEST(Override, SaysWhatIsWrong) {
  const auto set = [](const std::string& text) {
    return failure([&] { parse_experiment("batch: 1\n", "a.yaml", {text}); });
  };
  EXPECT_EQ(set("batch"), "--set batch: expected key=value, such as --set batch=16");
  EXPECT_EQ(set("batch>=1"), "--set batch>=1: '>=' is no assignment: expected key=value");
  EXPECT_EQ(set("bacth=1"), "--set bacth: unknown key 'bacth': did you mean 'batch'?");
  EXPECT_EQ(set("batch=0"), std::string("--set batch: batch: '0': ") + batch_expected);
  EXPECT_EQ(set("batch=[1,x]"), std::string("--set batch: batch: 'x': ") + batch_expected);
  EXPECT_EQ(set("batch=1:2"),
            "--set batch: range '1:2': expected three parts, start:end:step or start:end:xK");
  EXPECT_EQ(set("store=${HJ_NOT_SET_ANYWHERE}"),
            "--set store: the environment variable HJ_NOT_SET_ANYWHERE is not set: set it, or write "
            "${HJ_NOT_SET_ANYWHERE:-default}");
  EXPECT_EQ(failure([] {
              parse_experiment("batch: 1\n", "a.yaml", {{"device=gpu", "HYDRAJOB_DEVICE", true}});
            }),
            "HYDRAJOB_DEVICE: device: 'gpu': expected one of auto, cpu, cuda: did you mean 'cpu'?");
  EXPECT_EQ(failure([] {
              parse_experiment("batch: 1\n", "a.yaml", {{"batch", "HYDRAJOB_SET", false}});
            }),
            "HYDRAJOB_SET batch: expected key=value, such as batch=16");
  EXPECT_EQ(set("l2=warm"), "--set l2: l2 has no meaning for workload generate");
}

TEST(Aliases, MayNotUnfoldWithoutEnd) {
  std::string yaml = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (char c = 'b'; c <= 'i'; ++c) {
    yaml += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) yaml += std::string(i > 0 ? ", *" : "*") + static_cast<char>(c - 1);
    yaml += "]\n";
  }
  const std::string message = failure([&] { parse_experiment(yaml, "a.yaml", {}); });
  EXPECT_NE(message.find("aliases without end"), std::string::npos) << message;
}

TEST(MissingFile, IsNamed) {
  EXPECT_EQ(failure([] { load_experiment("no/such.yaml", {}); }),
            "no/such.yaml: cannot be read: No such file or directory");
}

}  // namespace
}  // namespace hydrajob
