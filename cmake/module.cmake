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

function(hj_compile_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow)
  if(HJ_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=address,undefined -fno-sanitize-recover=all
                                            -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
endfunction()
