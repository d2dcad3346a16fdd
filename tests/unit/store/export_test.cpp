// A store as text: the CSV that spreadsheets and pandas read, one JSON object a line.
#include "store/export.hpp"

#include <algorithm>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "unit/store/file_records.hpp"

namespace hydrajob {
namespace {

using test::small_record;

// RFC 4180, by hand: rows of fields.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows{{""}};
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string& field = rows.back().back();
    if (quoted && text[i] == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      field += text[i++];
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == ',') {
      rows.back().emplace_back();
    } else if (!quoted && text[i] == '\n') {
      rows.push_back({""});
    } else {
      field += text[i];
    }
  }
  rows.pop_back();
  return rows;
}

std::string cell(const std::vector<std::vector<std::string>>& rows, std::size_t row,
                 const std::string& column) {
  for (std::size_t i = 0; i < rows[0].size(); ++i) {
    if (rows[0][i] == column) return rows.at(row).at(i);
  }
  return "no column " + column;
}

std::vector<std::vector<std::string>> runs_csv(const std::vector<RunRecord>& records) {
  std::ostringstream out;
  export_runs_csv(out, records);
  return parse_csv(out.str());
}

TEST(Export, csv_quotes_what_needs_it) {
  RunRecord record = small_record();
  record.reason = "it said \"no\", twice\r\nand left";
  const auto rows = runs_csv({record});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].size(), rows[1].size());
  EXPECT_EQ(cell(rows, 1, "reason"), record.reason);
}

TEST(Export, csv_has_a_row_a_run_and_leaves_missing_values_empty) {
  RunRecord a = small_record(std::string(32, 'a')), b = small_record(std::string(32, 'b'));
  b.parameters = {{"top_p", 0.1}};
  b.metrics.clear();
  const auto rows = runs_csv({a, b});
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(cell(rows, 1, "run_id"), std::string(32, 'a'));
  EXPECT_EQ(cell(rows, 1, "param.batch"), "32");
  EXPECT_EQ(cell(rows, 1, "param.top_p"), "");
  EXPECT_EQ(cell(rows, 1, "decode_step.median"), "0.5");
  EXPECT_EQ(cell(rows, 2, "param.batch"), "");
  EXPECT_EQ(cell(rows, 2, "param.mode"), "");
  EXPECT_EQ(cell(rows, 2, "param.top_p"), "0.1");
  EXPECT_EQ(cell(rows, 2, "decode_step.median"), "");
}

TEST(Export, csv_of_no_runs_is_its_header) {
  EXPECT_EQ(runs_csv({}).size(), 1U);
}

TEST(Export, samples_csv_has_a_row_a_sample) {
  RunRecord record = small_record();
  record.samples.push_back({"total", "s", true, {1e-9}, {3}, {4}, {5}});
  record.samples[0].condition = {{1755, 4, 612.5}, {1980, {}, {}}};
  std::ostringstream out;
  export_samples_csv(out, {record});
  const std::string id(32, 'a');
  EXPECT_EQ(out.str(),
            "run_id,phase,value,unit,rank,iteration,step,warmup,sm_clock_mhz,throttle_reasons,power_w\n" +
                id + ",decode_step,0.25,s,0,0,1,0,1755,4,612.5\n" + id +
                ",decode_step,0.75,s,1,0,1,0,1980,,\n" + id + ",total,1e-09,s,3,4,5,1,,,\n");
}

TEST(Export, jsonl_escapes_and_keeps_types) {
  RunRecord record = small_record();
  record.reason = "a \"b\" \\ c\nd\x01";
  record.parameters = {{"batch", std::int64_t{32}}, {"top_p", 0.1}, {"mode", std::string("hydragen")}};
  std::ostringstream out;
  export_jsonl(out, {record, record}, false);
  const std::string text = out.str();
  // One object a line, whatever the strings hold.
  ASSERT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  const auto line = nlohmann::json::parse(text.substr(0, text.find('\n')));
  EXPECT_EQ(line.at("reason"), record.reason);
  const auto& parameters = line.at("parameters");
  EXPECT_TRUE(parameters.at("batch").is_number_integer());
  EXPECT_EQ(parameters, (nlohmann::json{{"batch", 32}, {"top_p", 0.1}, {"mode", "hydragen"}}));
  EXPECT_FALSE(line.contains("samples"));
}

TEST(Export, jsonl_takes_the_samples_along_when_asked) {
  std::ostringstream out;
  export_jsonl(out, {small_record()}, true);
  EXPECT_NE(
      out.str().find(R"("samples":[{"phase":"decode_step","unit":"s","warmup":false,"value":[0.25,0.75],)"
                     R"("rank":[0,1],"iteration":[0,0],"step":[1,1]}])"),
      std::string::npos)
      << out.str();
}

TEST(Export, jsonl_has_null_for_what_a_device_did_not_tell) {
  RunRecord record = small_record();
  record.samples[0].condition = {{1755, 4, {}}, {1980.5, {}, {}}};
  std::ostringstream out;
  export_jsonl(out, {record}, true);
  const auto series = nlohmann::json::parse(out.str()).at("samples").at(0);
  EXPECT_EQ(series.at("sm_clock_mhz"), (nlohmann::json{1755, 1980.5}));
  EXPECT_EQ(series.at("throttle_reasons"), (nlohmann::json{4, nullptr}));
  EXPECT_EQ(series.at("power_w"), (nlohmann::json{nullptr, nullptr}));
}

}  // namespace
}  // namespace hydrajob
