// Run records as the columns of a store's tables, and back. docs/store.md names them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "store/run_record.hpp"
#include "store/table.hpp"

namespace hydrajob {

struct StoreTables {
  std::vector<Column> runs;                            // /runs
  std::map<std::string, std::vector<Column>> samples;  // /samples/<phase>
  std::vector<std::string> configs;                    // /configs/text
  std::vector<std::string> environments;               // /environments/text
};

StoreTables to_tables(const std::vector<RunRecord>& records);

// Throws StoreError (`where` is the file's path): a missing column, columns of unequal length, an index that
// points at nothing, an unknown status.
std::vector<RunRecord> to_records(const StoreTables& tables, const std::string& where);

}  // namespace hydrajob
