//! Components that were built against 1.0 of the contract: whatever was added since, they go on working.

use portcullis_tests::repository;

use super::plugin;

#[test]
fn a_plugin_of_every_hook_that_was_built_against_1_0_passes_its_cases() {
    for hook in ["validate", "mask", "sign", "detect"] {
        let ran =
            plugin("test", &repository().join("tests/fixtures/plugins-1.0").join(hook)).expect_status(0);
        assert!(
            ran.stdout.contains(" 0 failed") && !ran.stdout.contains("0 cases"),
            "{hook}: {}",
            ran.output()
        );
    }
}
