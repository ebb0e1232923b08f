"""Cases from the field: small inputs on which Penstock once failed its users, run as a user runs them."""
