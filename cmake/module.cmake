# hj_module(<name> [DEPENDS <modules>] [LIBRARIES <foreign libraries>]): a static library hj_<name> of all *.cpp here.
function(hj_module name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBRARIES;SOURCES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  add_library(hj_${name} STATIC ${sources} ${ARG_SOURCES})
  target_include_directories(hj_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  hj_compile_options(hj_${name})
  list(TRANSFORM ARG_DEPENDS PREPEND hj_)
  target_link_libraries(hj_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_LIBRARIES})
endfunction()

# The module's files cuda_*.cpp: part of it in a build with CUDA only, where HJ_CUDA is 1.
function(hj_cuda_part name)
  if(HJ_CUDA)
    target_compile_definitions(hj_${name} PRIVATE HJ_CUDA=1)
    target_link_libraries(hj_${name} PUBLIC CUDA::cudart_static)
  else()
    get_target_property(sources hj_${name} SOURCES)
    list(FILTER sources EXCLUDE REGEX "/cuda_[^/]*$")
    set_target_properties(hj_${name} PROPERTIES SOURCES "${sources}")
  endif()
endfunction()

function(hj_compile_options target)
  # nvcc compiles constexpr functions of the host for the device too: the arithmetic that all backends share.
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C,CXX>:-Wall -Wextra -Wshadow>
                                           $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall --expt-relaxed-constexpr>)
  if(HJ_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=address,undefined -fno-sanitize-recover=all
                                            -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
endfunction()
