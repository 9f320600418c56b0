;; Grows a table without end, a step of a thousand elements at a time.
(module
    (import "portcullis:plugin/types@1.0.0" "[resource-drop]request" (func $drop (param i32)))
    (table $table 1 funcref)
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 65536))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $at) (local.get 3)))
        (local.get $at))
    (func (export "portcullis:plugin/validator@1.0.0#validate") (param $request i32) (result i32)
        (loop $again
            (drop (table.grow $table (ref.null func) (i32.const 1000)))
            (br $again))
        (unreachable)
        (call $drop (local.get $request))))
