"""A few calls, to be recorded by the probes of CPython: strings.trace."""


def greet(name):
    return f"hello {name}"


def work(count):
    return [greet(str(number)) for number in range(count)]


work(10)
