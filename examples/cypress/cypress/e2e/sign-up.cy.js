it("signs up with a phone number", () => {
  cy.task("rent", { service: "02.97", wishes: { max_price: 5000 } }).then(rental => {
    cy.visit("sign-up.html");
    cy.get("#phone").type(rental.phone.digits);
    cy.contains("button", "Send the code").click();
    cy.task("waitForCode", rental.id).then(code => cy.get("#code").type(code, { log: false }));
    cy.contains("button", "Sign up").click();
    cy.get("[role=status]").should("have.text", `Welcome, ${rental.phone.digits}`);
  });
});
