"""`python3 -m lt.builders`: the command of `lt.build`, under the name that users know."""

from lt.build.__main__ import main

if __name__ == "__main__":
    main(prog_name="python3 -m lt.builders")
