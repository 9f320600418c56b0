;; Imports what no plugin is given: the environment of its host.
(component
    (import "wasi:cli/environment@0.2.0"
        (instance (export "get-arguments" (func (result (list string)))))))
