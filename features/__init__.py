"""Events in, one feature row per (customer, as_of) out."""
