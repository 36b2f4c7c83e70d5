"""`python -m tfft` is the command `tfft`."""

from tfft.cli.main import main

if __name__ == "__main__":
    main()
