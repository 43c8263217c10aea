"""Types that a program declares for what its functions take and return.

faults       where a value does not fit its type
schema       values of a declared type, by msgspec
models       the same where the type is a model of Pydantic
parameters   which types a function declares
"""
