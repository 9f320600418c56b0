;; The detail of its finding has 100 MB, which is more than its memory.
(module
    (import "portcullis:plugin/types@1.0.0" "[resource-drop]request" (func $drop (param i32)))
    (memory (export "memory") 2)
    ;; One finding at 128: its rule at 300, its detail at 400.
    (data (i32.const 68) "\80\00\00\00\01\00\00\00")
    (data (i32.const 128) "\2c\01\00\00\06\00\00\00")
    (data (i32.const 136) "\01")
    (data (i32.const 152) "\90\01\00\00\00\e1\f5\05")
    (data (i32.const 300) "a-rule")
    (global $free (mut i32) (i32.const 65536))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $at) (local.get 3)))
        (local.get $at))
    (func (export "portcullis:plugin/validator@1.0.0#validate") (param $request i32) (result i32)
        (i32.const 64)
        (call $drop (local.get $request))))
