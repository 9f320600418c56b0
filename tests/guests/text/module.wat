;; A core module, and no component.
(module)
