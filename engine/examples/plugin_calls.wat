;; A validator that reads all headers, the body's bytes and its leaves, adds all their bytes up, and has one finding
;; whose score depends on the sum.
(module
  (import "portcullis:plugin/types@1.0.0" "[resource-drop]request" (func $drop-request (param i32)))
  (import "portcullis:plugin/types@1.0.0" "[resource-drop]document" (func $drop-document (param i32)))
  (import "portcullis:plugin/types@1.0.0" "[method]request.headers" (func $headers (param i32 i32)))
  (import "portcullis:plugin/types@1.0.0" "[method]request.raw-body" (func $raw-body (param i32 i32)))
  (import "portcullis:plugin/types@1.0.0" "[method]request.body" (func $body (param i32 i32)))
  (import "portcullis:plugin/types@1.0.0" "[method]document.leaves" (func $leaves (param i32 i32)))
  (memory (export "memory") 4)
  (data (i32.const 512) "reader-MARK")
  (global $free (mut i32) (i32.const 4096))

  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    (local.get $at))

  (func $sum (param $at i32) (param $length i32) (result i32)
    (local $sum i32) (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (local.get $sum))

  ;; Elements of this size, each with a text at its start and one at `second`.
  (func $sum-of-list (param $at i32) (param $count i32) (param $size i32) (param $second i32) (result i32)
    (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum)
          (call $sum (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))))
        (local.set $sum (i32.add (local.get $sum)
          (call $sum
            (i32.load (i32.add (local.get $at) (local.get $second)))
            (i32.load offset=4 (i32.add (local.get $at) (local.get $second))))))
        (local.set $at (i32.add (local.get $at) (local.get $size)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $sum))

  (func (export "portcullis:plugin/validator@1.0.0#validate") (param $request i32) (result i32)
    (local $sum i32)
    (call $headers (local.get $request) (i32.const 16))
    (local.set $sum (call $sum-of-list (i32.load (i32.const 16)) (i32.load (i32.const 20)) (i32.const 16) (i32.const 8)))
    (call $raw-body (local.get $request) (i32.const 16))
    (local.set $sum (i32.add (local.get $sum) (call $sum (i32.load (i32.const 16)) (i32.load (i32.const 20)))))
    (call $body (local.get $request) (i32.const 16))
    (if (i32.load8_u (i32.const 16)) (then
      (call $leaves (i32.load (i32.const 20)) (i32.const 32))
      (local.set $sum (i32.add (local.get $sum)
        (call $sum-of-leaves (i32.load (i32.const 32)) (i32.load (i32.const 36)))))
      (call $drop-document (i32.load (i32.const 20)))))
    (call $drop-request (local.get $request))
    ;; ok([{ rule: "read", score, location: whole, detail: "" }])
    (i32.store8 (i32.const 64) (i32.const 0))
    (i32.store (i32.const 68) (i32.const 128))
    (i32.store (i32.const 72) (i32.const 1))
    (i32.store (i32.const 128) (i32.const 512))
    (i32.store (i32.const 132) (i32.const 4))
    (i32.store8 (i32.const 136) (i32.rem_u (local.get $sum) (i32.const 101)))
    (i32.const 64))

  ;; { pointer: text at 0, value: variant at 8, whose text is at 12 when its case is 2 or 3 }
  (func $sum-of-leaves (param $at i32) (param $count i32) (result i32)
    (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum)
          (call $sum (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))))
        (if (i32.eq (i32.and (i32.load8_u offset=8 (local.get $at)) (i32.const -2)) (i32.const 2)) (then
          (local.set $sum (i32.add (local.get $sum)
            (call $sum (i32.load offset=12 (local.get $at)) (i32.load offset=16 (local.get $at)))))))
        (local.set $at (i32.add (local.get $at) (i32.const 20)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $sum)))
