;; Finds nothing: what tests damage, and what they put in the place of others.
(module
    (import "portcullis:plugin/types@1.0.0" "[resource-drop]request" (func $drop (param i32)))
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 65536))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $at) (local.get 3)))
        (local.get $at))
    (func (export "portcullis:plugin/validator@1.0.0#validate") (param $request i32) (result i32)
        ;; At 64 stands an answer without findings.
        (i32.const 64)
        (call $drop (local.get $request))))
