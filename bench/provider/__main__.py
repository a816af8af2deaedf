"""Start the provider and print the desk's setting: see `bench.provider.office`."""

from bench.provider.office import main

if __name__ == "__main__":
    main()
