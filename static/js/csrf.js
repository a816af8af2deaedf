// The CSRF token, from its cookie: signing in again in another tab changes it. Behind https the cookie has a prefix, and only
// with it is the cookie ours: another host of the domain can set one without.
export function csrfToken() {
  const cookie = (name) => document.cookie.match(`(?:^|; )${name}=([^;]+)`)?.[1];
  return cookie("__Host-csrftoken") ?? cookie("csrftoken") ?? "";
}
