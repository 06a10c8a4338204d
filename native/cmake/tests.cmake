# One doctest program a room: tests/native/ROOM/*.cc. They are run by pytest (tests/native/test_native.py).
find_path(DOCTEST_INCLUDE_DIR doctest/doctest.h REQUIRED)

# What the tests themselves do is not what takes their time; the rooms are compiled as they are shipped.
set(TEST_OPTIONS -O1)

# doctest itself, compiled once.
add_library(doctest_main OBJECT ${REPOSITORY_DIR}/tests/native/main.cc)
target_include_directories(doctest_main SYSTEM PRIVATE ${DOCTEST_INCLUDE_DIR})
target_link_libraries(doctest_main PRIVATE npuserve_flags)
target_compile_options(doctest_main PRIVATE ${TEST_OPTIONS})

function(add_room_tests name)
  file(GLOB sources CONFIGURE_DEPENDS ${REPOSITORY_DIR}/tests/native/${name}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  target_include_directories(test_${name} SYSTEM PRIVATE ${DOCTEST_INCLUDE_DIR})
  target_include_directories(test_${name} PRIVATE ${REPOSITORY_DIR}/tests/native)
  target_compile_options(test_${name} PRIVATE ${TEST_OPTIONS})
  target_link_libraries(test_${name} PRIVATE npuserve_flags doctest_main ${ARGN})
  set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endfunction()

add_room_tests(core npuserve_core)
add_room_tests(batching npuserve_batching)
add_room_tests(acl npuserve_acl)
add_room_tests(ort npuserve_ort)

# Shared libraries that are AscendCL but for one function, for the tests of loading.
function(add_partial_acl name missing variable)
  add_library(${name} SHARED ${REPOSITORY_DIR}/tests/native/acl/stub/partial_library.cc)
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE ${missing}=renamed_${missing})
  target_compile_definitions(test_acl PRIVATE ${variable}="$<TARGET_FILE:${name}>")
  add_dependencies(test_acl ${name})
endfunction()
add_partial_acl(acl_without_malloc aclrtMalloc NPUSERVE_STUB_WITHOUT_MALLOC)
add_partial_acl(acl_without_load aclmdlLoadFromFile NPUSERVE_STUB_WITHOUT_LOAD)

add_room_tests(engine npuserve_engine)
# The engine is there to submit to: the two rooms themselves meet at core's types alone.
add_room_tests(wire npuserve_wire npuserve_engine)
add_room_tests(load npuserve_load)
if(NPUSERVE_EMULATOR)
  add_room_tests(emulator ascendcl emulator_model)
endif()

# The native half of benchmarks/engine.
foreach(program overhead counting)
  add_executable(engine_${program} ${REPOSITORY_DIR}/benchmarks/engine/${program}.cc)
  target_link_libraries(engine_${program} PRIVATE npuserve_engine)
endforeach()

# The server of benchmarks/loadgen that does nothing but answer.
add_executable(loadgen_sink ${REPOSITORY_DIR}/benchmarks/loadgen/sink.cc)
target_link_libraries(loadgen_sink PRIVATE npuserve_flags)

# The native half of tests/unit/test_infer_codec.py.
add_executable(infer_answers ${REPOSITORY_DIR}/tests/native/wire/answers/infer_answers.cc)
target_link_libraries(infer_answers PRIVATE npuserve_wire)
set_target_properties(infer_answers PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
