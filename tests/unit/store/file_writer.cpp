// Writes a store of random records, and beside it what is in it as JSON lines, for readers in other
// languages:
//   store_writer STORE.h5 RECORDS.jsonl SEED RUNS
#include <cstdio>
#include <fstream>
#include <string>

#include "base/error.hpp"
#include "store/export.hpp"
#include "store/store_file.hpp"
#include "unit/store/file_records.hpp"

int main(int argc, char** argv) try {
  using namespace hydrajob;
  if (argc != 5) {
    std::fprintf(stderr, "store_writer STORE.h5 RECORDS.jsonl SEED RUNS\n");
    return 2;
  }
  const auto records =
      test::RandomRecords(static_cast<unsigned>(std::stoul(argv[3]))).records(std::stoul(argv[4]));
  write_store_file(argv[1], records);
  std::ofstream out(argv[2]);
  export_jsonl(out, test::as_read(records), true);
  out.close();
  return out ? 0 : 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
