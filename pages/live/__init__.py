"""The event stream: `hub` fans announced changes out to the open screens, `screens` says what each may see."""
