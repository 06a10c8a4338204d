# The fuzz targets: tests/fuzz/fuzz_NAME.cc. Every test build has them as programs that replay and mutate files; with
# NPUSERVE_FUZZ, which needs clang, libFuzzer drives them.
function(add_fuzz_program program)
  add_executable(${program} ${ARGN})
  target_link_libraries(${program} PRIVATE npuserve_flags npuserve_wire)
  set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endfunction()

function(add_fuzz_target name)
  set(target ${REPOSITORY_DIR}/tests/fuzz/fuzz_${name}.cc)
  if(NPUSERVE_TESTS)
    add_fuzz_program(replay_${name} ${target} ${REPOSITORY_DIR}/tests/fuzz/main.cc)
  endif()
  if(NPUSERVE_FUZZ)
    add_fuzz_program(fuzz_${name} ${target})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()

add_fuzz_target(infer_codec)
add_fuzz_target(connection)
add_fuzz_target(http)
