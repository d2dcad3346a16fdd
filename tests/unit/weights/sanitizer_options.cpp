// What the address sanitizer is told in these tests; the sanitizer calls it, other builds do not.
//
// libhdf5 1.10 loses the parts of an object header that it cannot decode, which damaged files bring about. It
// takes them from pools, so the stack that a leak shows is of whoever took the block first.
extern "C" {
const char* __lsan_default_suppressions();  // NOLINT(bugprone-reserved-identifier): the sanitizer's name

const char* __lsan_default_suppressions() {
  return "leak:libhdf5\n";
}
}
