# Recipes for whoever has `just`. Nobody needs it: each calls tests/ci.sh, and does nothing else.

# All of it in one go.
all:
    tests/ci.sh all

# Format, what is carried of others, clippy, documentation, the plugins natively, unit tests, doctests.
unit:
    tests/ci.sh unit

# The integration tests of scout-ssh.
engine:
    tests/ci.sh engine

# The command policy: unit tests, the sweep of its table, its corpora.
policy:
    tests/ci.sh policy

# All other integration tests, and the demo.
integration:
    tests/ci.sh integration
