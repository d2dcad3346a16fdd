// hydrajob: the commands. An experiment's way through the program is in command_run.cpp and sched/sweep.cpp.
#include <cstdio>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "comm/launcher.hpp"
#include "main/command_bench_load.hpp"
#include "main/command_generate.hpp"
#include "main/command_import.hpp"
#include "main/command_make_model.hpp"
#include "main/command_run.hpp"
#include "main/command_store.hpp"
#include "main/command_supervise.hpp"
#include "main/command_tokenize.hpp"
#include "main/options.hpp"
#include "sched/provenance.hpp"

namespace hydrajob {
namespace {

// Under mpirun every rank is asked; one answers.
ExitCode print(const std::string& text) {
  if (launcher_rank() == 0) std::fputs(text.c_str(), stdout);
  flush_output();
  return ExitCode::ok;
}

ExitCode command(const std::vector<std::string>& arguments) {
  const std::string name = arguments.empty() ? "--help" : arguments.front();
  if (name == "--help" || name == "-h") return print(help_text());
  if (name == "--version") return print(version_text() + "\n");
  const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (name == "bench-load") return run_bench_load(rest);
  if (name == "generate") return run_generate(rest);
  if (name == "import") return run_import(rest);
  if (name == "make-model") return run_make_model(rest);
  if (name == "store") return run_store(rest);
  if (name == "supervise") return run_supervise(rest);
  if (name == "tokenize") return run_tokenize(rest);
  return run_experiment(arguments);
}

}  // namespace
}  // namespace hydrajob

int main(int argc, char** argv) {
  using namespace hydrajob;
  try {
    return static_cast<int>(command({argv + 1, argv + argc}));
  } catch (const Error& e) {
    if (launcher_rank() == 0) log::error(e.what());
    return static_cast<int>(e.code());
  } catch (...) {
    return static_cast<int>(log::exception_in_flight());
  }
}
