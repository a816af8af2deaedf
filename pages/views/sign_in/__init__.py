"""Pages of signing in: passwords, two-factor authentication, single sign-on, and the e-mail address that links go to."""
