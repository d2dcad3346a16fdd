#include "workload/workload.hpp"
