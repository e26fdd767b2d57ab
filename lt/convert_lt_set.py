"""`python3 -m lt.convert_lt_set`: the command of `lt.build.published_set`, under the name users
know.
"""

from lt.build.published_set import main

if __name__ == "__main__":
    main(prog_name="python3 -m lt.convert_lt_set")
