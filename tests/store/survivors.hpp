// What must be in a store after its writer died.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>

#include "store/dying_writer.hpp"

namespace hydrajob::test {

class Survivors {
 public:
  explicit Survivors(std::filesystem::path store) : store_(std::move(store)) {}

  void note(const Promise& promise);

  // Looks at the files as they lie there. Every promised run is in the store, with every value, and so is
  // every other run that stands there; verify finds nothing; the one file opens by HDF5 alone.
  void expect_kept() const;

  // Opens the store as the next job does: it knows every promised run, and every start that did not end.
  void expect_resumable() const;

  // After a job that ended well: one file holds all, and nothing is left beside it but the journal.
  void expect_tidy() const;

  std::size_t n_committed() const { return committed_.size(); }

 private:
  std::filesystem::path store_;
  std::map<int, std::int32_t> committed_;  // by number: the latest attempt
  std::map<int, std::int32_t> open_;       // started, and no end told
};

}  // namespace hydrajob::test
