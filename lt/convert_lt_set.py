"""`python3 -m lt.convert_lt_set`: the command of `lt.build.article`, under the name that users
know.
"""

from lt.build.article import main

if __name__ == "__main__":
    main(prog_name="python3 -m lt.convert_lt_set")
